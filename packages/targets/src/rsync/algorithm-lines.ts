import { oldAlgorithms } from '../ssh/index.ts';
import type { ViaSsh } from './schema.ts';

/** Lines of ssh_config(5) that allow old algorithms in addition to the defaults of ssh. */
export function algorithmLines({ algorithms }: ViaSsh): string[] {
  if (algorithms === 'safe') return [];
  const { kex, cipher, hmac, serverHostKey } = oldAlgorithms;
  return [
    `KexAlgorithms +${kex.join(',')}`,
    `Ciphers +${cipher.join(',')}`,
    `MACs +${hmac.join(',')}`,
    `HostKeyAlgorithms +${serverHostKey.join(',')}`,
    `PubkeyAcceptedAlgorithms +${serverHostKey.join(',')}`,
  ];
}
