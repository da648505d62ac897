import { z } from 'zod';
import { secret } from './secret.ts';
import { tlsClient } from './source-config.ts';

const address = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:]+\]|[^\s:/@]+):\d{1,5}$/, 'an address is HOST:PORT')
  .refine((text) => isPort(/\d+$/.exec(text)?.[0] ?? ''), 'a port is 1 to 65535');
const addresses = z.array(address).min(1, 'name at least one address');

const urlWords =
  'a URL such as redis://HOST:6379 or rediss://HOST:6379/0 (the number of the database), or ${NAME} of one';

function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { hostname, port, pathname } = new URL(text);
  return hostname !== '' && (port === '' || isPort(port)) && /^(\/\d{0,5})?$/.test(pathname);
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}

/** Address of Redis, and our identity there: one server, a master known to Sentinel, or a Cluster. */
export const redisConfig = z
  .strictObject({
    url: z
      .union([z.string().refine(isRedisUrl, urlWords), secret], {
        error: urlWords,
      })
      .optional()
      .describe(
        'URL of Redis; without url, sentinel and cluster a Redis server is started with its data in dataFolder',
      ),
    sentinel: z
      .strictObject({
        name: z.string().min(1).describe('name of the master group at the Sentinels'),
        addresses: addresses.describe('HOST:PORT of each Sentinel'),
        username: z.string().optional().describe('user name at the Sentinels, if they require one'),
        password: secret.optional().describe('password'),
        tls: z.boolean().default(true).describe('with redis.tls: whether the Sentinels use TLS as well'),
      })
      .optional()
      .describe('instead of url: the master is discovered by Sentinels, also after a failover'),
    cluster: addresses
      .optional()
      .describe('instead of url: HOST:PORT of some nodes of a Redis Cluster; the others are discovered'),
    username: z.string().optional().describe('ACL user; default: the user in url, or the default user of Redis'),
    password: secret.optional().describe('password'),
    tls: tlsClient
      .optional()
      .describe(
        'TLS with a private certificate authority or a client certificate; {} uses the authorities of the system',
      ),
    dataFolder: z
      .string()
      .default('./data')
      .describe('folder for the data of the Redis server that is started without url'),
    notesFolder: z
      .string()
      .optional()
      .describe(
        'folder in which a router records the state of Redis, for recovery after a loss of data; default: recovery in dataFolder',
      ),
    prefix: z
      .string()
      .regex(/^\{[A-Za-z0-9._-]{1,40}\}$/, 'a prefix is a name in braces, e.g. {dicom-dispatch}')
      .default('{dicom-dispatch}')
      .describe('prefix of every key; the braces keep all keys in one slot of a Redis Cluster'),
  })
  .refine(({ url, sentinel, cluster }) => [url, sentinel, cluster].filter((one) => one !== undefined).length <= 1, {
    error: 'has more than one of url, sentinel and cluster: keep the one that is meant',
  });
export type RedisConfig = z.output<typeof redisConfig>;
