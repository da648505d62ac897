import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';
import { isOpenHeader } from '../secret-paths.ts';

const remedy = '${NAME} or { file: PATH }, or enter it in the console, which stores it encrypted';
const shown = 'is a secret in plain text, which is shown with the configuration';

/** Secrets in plain text in options that also accept other texts: headers, addresses of webhooks, logins in addresses. */
export function plainSecretWarnings({ redis, sources, targets, console }: Config): Problem[] {
  const webhooks = Object.entries(console.notifications?.webhooks ?? {});
  return [
    ...redisLogin(redis),
    ...Object.entries(sources).flatMap(([name, source]) => logins(['sources', name], source)),
    ...Object.entries(targets).flatMap(([name, target]) => {
      const path = ['targets', name];
      return [...logins(path, target), ...plainHeaders(path, (target as { headers?: unknown }).headers)];
    }),
    ...webhooks.flatMap(([name, { url, format, headers }]) => {
      const path = ['console', 'notifications', 'webhooks', name];
      return [...plainAddress([...path, 'url'], url, format), ...plainHeaders(path, headers)];
    }),
  ];
}

function redisLogin({ url }: Config['redis']): Problem[] {
  if (typeof url !== 'string' || !hasPassword(url)) return [];
  const message = `a password in the address is shown with the configuration: write it as redis.password instead, as \${NAME} or { file: PATH }`;
  return [{ path: ['redis', 'url'], message }];
}

/** Addresses of a source or target with a password. */
function logins(path: readonly string[], options: object): Problem[] {
  return Object.entries(options).flatMap(([option, value]: [string, unknown]): Problem[] => {
    if (typeof value !== 'string' || !hasPassword(value)) return [];
    const message = `the password in the address ${shown}: remove it, and set the user name and the password as options, the password as ${remedy}`;
    return [{ path: [...path, option], message }];
  });
}

function hasPassword(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text) && new URL(text).password !== '';
}

const secretName = /auth|key|token|secret|pass|cookie|credential|session|signature|jwt/i;
const scheme = /^(basic|bearer|digest|token|apikey|negotiate)\s+\S/i;

function plainHeaders(path: readonly string[], headers: unknown): Problem[] {
  return Object.entries((headers ?? {}) as Readonly<Record<string, unknown>>).flatMap(([name, value]): Problem[] => {
    if (typeof value !== 'string' || value === '' || isOpenHeader(name)) return [];
    if (!secretName.test(name) && !scheme.test(value) && !isRandom(value)) return [];
    const message = `the value of ${name} ${shown}: write the whole value as ${remedy}`;
    return [{ path: [...path, 'headers', name], message }];
  });
}

/** An address that permits posting to everyone who knows it: by its kind, or since it has a random part. */
function plainAddress(path: readonly string[], url: unknown, format: string): Problem[] {
  if (typeof url !== 'string' || !URL.canParse(url)) return [];
  const { pathname, searchParams } = new URL(url);
  const parts = [...pathname.split('/'), ...searchParams.values()];
  const isNamed = [...searchParams.keys()].some((name) => secretName.test(name) || /^(sig|code)$/i.test(name));
  if (format === 'json' && !isNamed && !parts.some(isRandom) && !hasPassword(url)) return [];
  const message = `the address ${shown}; everyone who knows it can post messages there: write the whole address as ${remedy}`;
  return [{ path, message }];
}

/** Whether a text looks like a generated token: a UUID, digits between letters, or a long part of many characters. */
function isRandom(text: string): boolean {
  if (!/^[\w+/=.~-]{16,}$/.test(text)) return false;
  if (/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.test(text)) return true;
  const digitsInWords = text.match(/[a-z]\d+(?=[a-z])/gi) ?? [];
  return digitsInWords.length >= 3 || text.split(/[-._~]/).some(isRandomPart);
}

/** Whether a part is hexadecimal, or has upper and lower case and digits. */
function isRandomPart(part: string): boolean {
  if (part.length < 16 || !/\d/.test(part)) return false;
  return (/^[0-9a-f]+$/i.test(part) && /[a-f]/i.test(part)) || (/[a-z]/.test(part) && /[A-Z]/.test(part));
}
