import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

/** An address (`10.1.2.3`, `fd00::1`) or a network (`10.0.0.0/8`, `fd00::/8`). */
export const network = z.string().refine((text) => parseNetwork(text) !== undefined, {
  error: 'a network is an address or ADDRESS/BITS, e.g. 10.0.0.0/8',
});

interface Network {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly bits: number;
}

function parseNetwork(text: string): Network | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || address.includes('%')) return undefined;
  const whole = version === 4 ? 32 : 128;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (bits === undefined) return { address, family, bits: whole };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > whole) return undefined;
  return { address, family, bits: Number(bits) };
}

const addressOfMappedIpv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * Whether an address is in one of the networks; an invalid address is in none. An IPv4 address mapped to IPv6 counts as
 * IPv4.
 */
export function networkMatcher(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of networks) {
    const parsed = parseNetwork(text);
    if (parsed) list.addSubnet(parsed.address, parsed.bits, parsed.family);
  }
  return (address) => {
    const plain = addressOfMappedIpv4.exec(address)?.[1] ?? address.replace(/%.*$/, '');
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  };
}
