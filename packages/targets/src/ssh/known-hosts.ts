import { createHmac } from 'node:crypto';

/** A host key in known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
export interface KnownKey {
  readonly type: string;
  /** The public key blob (RFC 4253 section 6.6). */
  readonly blob: Buffer;
  readonly revoked: boolean;
}

/** The keys of a known_hosts file for a host, by name, pattern or hash. Lines of certificate authorities are skipped. */
export function knownKeys(text: string, host: string, port: number): KnownKey[] {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  return text.split('\n').flatMap((line) => parseLine(line.trim(), name) ?? []);
}

function parseLine(line: string, name: string): KnownKey | undefined {
  if (line === '' || line.startsWith('#')) return undefined;
  const fields = line.split(/\s+/);
  const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined;
  if (marker !== undefined && marker !== '@revoked') return undefined;
  const [hosts, type, key] = fields;
  if (hosts === undefined || type === undefined || key === undefined) return undefined;
  if (!matchesHosts(hosts, name)) return undefined;
  return { type, blob: Buffer.from(key, 'base64'), revoked: marker === '@revoked' };
}

function matchesHosts(hosts: string, name: string): boolean {
  let matches = false;
  for (const pattern of hosts.split(',')) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(pattern.slice(1), name)) return false;
    } else if (matchesPattern(pattern, name)) {
      matches = true;
    }
  }
  return matches;
}

function matchesPattern(pattern: string, name: string): boolean {
  const hashed = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/.exec(pattern);
  if (hashed) {
    const [, salt = '', hash = ''] = hashed;
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  const expression = pattern
    .toLowerCase()
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${expression}$`).test(name);
}
