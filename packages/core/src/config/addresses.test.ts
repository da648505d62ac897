import { describe, expect, it } from 'vitest';
import { hostOf, isLoopback, listenAddress, network, networkMatcher } from '../index.ts';
import { redisConfig } from './redis-config.ts';

describe('a listening address', () => {
  it.each(['127.0.0.1:8080', 'localhost:0', '[::1]:65535', 'host-1.example:1'])('%s is valid', (text) => {
    expect(listenAddress.parse(text)).toBe(text);
  });

  it.each([
    ['127.0.0.1', 'HOST:PORT'],
    [':8080', 'HOST:PORT'],
    ['::1:8080', 'HOST:PORT'],
    ['http://x:80', 'HOST:PORT'],
    ['x:80/', 'HOST:PORT'],
    ['x:655361', 'HOST:PORT'],
    ['x:65536', 'at most 65535'],
  ])('%s is not', (text, message) => {
    expect(listenAddress.safeParse(text).error?.message).toContain(message);
  });

  it('has a host, without brackets', () => {
    expect(['10.0.0.1:80', '[fd00::1]:80', 'x.example:1'].map(hostOf)).toEqual(['10.0.0.1', 'fd00::1', 'x.example']);
  });

  it('is local only if no other machine can reach it', () => {
    expect(['localhost', '::1', '[::1]', '127.0.0.1', '127.255.0.3'].every(isLoopback)).toBe(true);
    for (const host of ['0.0.0.0', '::', '10.127.0.0.1', '127.0.0.1.example', 'x.localhost', '128.0.0.1', '[::11]', ''])
      expect(isLoopback(host), host).toBe(false);
  });
});

describe('a network', () => {
  it.each(['10.1.2.3', '10.0.0.0/8', '0.0.0.0/0', '10.0.0.1/32', 'fd00::/8', 'fd00::1', '::/128'])(
    '%s is valid',
    (text) => {
      expect(network.parse(text)).toBe(text);
    },
  );

  it.each([
    '',
    '10.0.0',
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/x',
    '10.0.0.0/',
    'fe80::1%eth0',
    'pacs',
  ])('%j is not', (text) => {
    expect(network.safeParse(text).error?.message).toContain('a network is an address or ADDRESS/BITS');
  });

  it('contains its addresses and no others', () => {
    const isIn = networkMatcher(['10.1.0.0/16', '192.0.2.7', 'fd00::/8', '2001:db8::1']);
    expect(['10.1.0.0', '10.1.255.255', '192.0.2.7', 'fd12::9', '2001:db8::1'].every(isIn)).toBe(true);
    expect(['10.2.0.0', '192.0.2.8', 'fe00::1', '2001:db8::2', '', 'pacs'].some(isIn)).toBe(false);
  });

  it('contains an IPv4 address that is mapped to IPv6, and one with a zone', () => {
    const isIn = networkMatcher(['10.0.0.0/8', 'fe80::/10']);
    expect(isIn('::ffff:10.1.2.3')).toBe(true);
    expect(isIn('::FFFF:10.1.2.3')).toBe(true);
    expect(isIn('::ffff:11.1.2.3')).toBe(false);
    expect(isIn('fe80::1%eth0')).toBe(true);
    expect(isIn('fec0::1%eth0')).toBe(false);
  });

  it('an empty list contains no address', () => {
    expect(networkMatcher([])('127.0.0.1')).toBe(false);
    expect(networkMatcher(['nonsense'])('127.0.0.1')).toBe(false);
  });
});

describe('Redis', () => {
  it.each(['redis://x', 'rediss://x:6380/15', 'redis://ada:pass@x:1', 'redis://[::1]:65535/', 'redis://x/'])(
    '%s is a valid address',
    (url) => {
      expect(redisConfig.parse({ url }).url).toBe(url);
    },
  );

  it.each([
    'http://x',
    'xredis://x',
    'redis://',
    'redis:///0',
    'redis://x:0',
    'redis://x:99999',
    'redis://x/db',
    'redis://x/123456',
    'redis://x/0/1',
  ])('%s is not a valid address', (url) => {
    expect(redisConfig.safeParse({ url }).error?.issues).toMatchObject([
      { path: ['url'], message: expect.stringContaining('a URL such as redis://HOST:6379') },
    ]);
  });

  it('has one address at most', () => {
    const cluster = ['x:6379', '[::1]:1', 'y:65535'];
    const sentinel = { name: 'main', addresses: ['x:26379'] };
    expect(redisConfig.parse({ cluster })).toMatchObject({ cluster, prefix: '{dicom-dispatch}' });
    expect(redisConfig.parse({ sentinel }).sentinel).toEqual({ ...sentinel, tls: true });
    expect(redisConfig.safeParse({ cluster, sentinel }).error?.message).toContain(
      'more than one of url, sentinel and cluster',
    );
    expect(redisConfig.safeParse({ url: 'redis://x', cluster }).success).toBe(false);
    expect(redisConfig.parse({})).toMatchObject({ dataFolder: './data' });
  });

  it.each([['x'], ['x:'], ['x:0'], ['x:65536'], ['ada@x:1'], ['x:1/0']])('%s is not a valid address', (node) => {
    expect(redisConfig.safeParse({ cluster: [node] }).success).toBe(false);
    expect(redisConfig.safeParse({ cluster: [] }).error?.message).toContain('name at least one address');
  });
});
