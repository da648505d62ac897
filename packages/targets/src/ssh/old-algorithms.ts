/**
 * Algorithms of servers from before about 2014 that are no longer safe: RFC 8270 and RFC 9142 for key exchanges, RFC 8758 and
 * RFC 4344 for ciphers. In the order of preference.
 */
export const oldAlgorithms = {
  kex: ['diffie-hellman-group-exchange-sha1', 'diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'],
  serverHostKey: ['ssh-rsa', 'ssh-dss'],
  cipher: ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'],
  hmac: ['hmac-sha1-96', 'hmac-md5'],
} as const;

const unsafe: ReadonlySet<string> = new Set(Object.values(oldAlgorithms).flat());

/** The algorithms of a connection that are no longer safe. */
export function oldAmong(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names)].filter((name) => name !== undefined && unsafe.has(name)) as string[];
}
