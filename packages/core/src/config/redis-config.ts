import { z } from 'zod';
import { secret } from './secret.ts';
import { tlsClient } from './source-config.ts';

const address = z.string().regex(/^(\[[0-9A-Fa-f:]+\]|[^\s:/@]+):\d{1,5}$/, 'an address is HOST:PORT');
const addresses = z.array(address).min(1, 'name at least one address');

/** Where Redis is, and who we are there: one server, what Sentinel calls its master, or a Cluster. */
export const redisConfig = z
  .strictObject({
    url: z
      .union([z.string().regex(/^rediss?:\/\//), secret], {
        error: 'a URL with redis:// or rediss://, or ${NAME} of one',
      })
      .optional()
      .describe('where Redis is; without url, sentinel and cluster a Redis of our own is started in dataFolder'),
    sentinel: z
      .strictObject({
        name: z.string().min(1).describe('what the Sentinels call the group of master and replicas'),
        addresses: addresses.describe('HOST:PORT of the Sentinels'),
        username: z.string().optional().describe('user at the Sentinels, where they ask for one'),
        password: secret.optional().describe('its password'),
        tls: z.boolean().default(true).describe('where redis.tls is given: whether the Sentinels speak TLS as well'),
      })
      .optional()
      .describe('instead of url: the master that Sentinels name, also after a failover'),
    cluster: addresses
      .optional()
      .describe('instead of url: HOST:PORT of some members of a Redis Cluster; they name the others'),
    username: z.string().optional().describe('ACL user; default the one in url, or the default user'),
    password: secret.optional().describe('its password'),
    tls: tlsClient
      .optional()
      .describe('TLS with a private authority or a client certificate; {} trusts what the system trusts'),
    dataFolder: z.string().default('./data').describe('where the Redis of our own keeps its data'),
    notesFolder: z
      .string()
      .optional()
      .describe(
        'where a router keeps notes of what is in Redis, to go on after Redis lost its data; default recovery in dataFolder',
      ),
    prefix: z
      .string()
      .regex(/^\{[A-Za-z0-9._-]{1,40}\}$/, 'a prefix is a name in braces, e.g. {dicom-dispatch}')
      .default('{dicom-dispatch}')
      .describe('first part of every key; the braces keep all keys in one slot of a Redis Cluster'),
  })
  .refine(({ url, sentinel, cluster }) => [url, sentinel, cluster].filter((one) => one !== undefined).length <= 1, {
    error: 'has more than one of url, sentinel and cluster: keep the one that is meant',
  });
export type RedisConfig = z.output<typeof redisConfig>;
