import type { Config } from '../config-schema.ts';
import { needsSignIn } from '../console-config.ts';
import type { Problem } from '../problem.ts';
import { Secret } from '../secret.ts';
import { hostOf, isLoopback } from '../listen-address.ts';
import { webhookAddressOf } from '../notifications-config.ts';
import { plainSecretWarnings } from './plain-secret-warnings.ts';

/** Access that is open to others on the network, and passwords that are sent unencrypted. */
export function exposureWarnings(config: Config): Problem[] {
  return [
    ...consoleExposure(config),
    ...healthExposure(config),
    ...pushExposure(config),
    ...redisExposure(config),
    ...clearPasswords(config),
    ...plainSecretWarnings(config),
  ];
}

function consoleExposure({ console }: Config): Problem[] {
  const { listen, publicUrl } = console;
  if (isLoopback(hostOf(listen))) return [];
  const path = ['console', 'listen'];
  if (!needsSignIn(console)) {
    const message = `the console will not start: ${listen} is reachable from other hosts without sign-in; set console.users, console.tokens or console.oidc, or listen on 127.0.0.1`;
    return [{ path, message }];
  }
  if (publicUrl?.startsWith('https:')) return [];
  const message = `passwords and pages are sent unencrypted: use a proxy with TLS and set console.publicUrl to its https address, or listen on 127.0.0.1`;
  return [{ path: publicUrl === undefined ? path : ['console', 'publicUrl'], message }];
}

function healthExposure({ health }: Config): Problem[] {
  return (['router', 'dispatcher'] as const).flatMap((name) => {
    if (isLoopback(hostOf(health[name]))) return [];
    const message = `health and metrics are available to other hosts without sign-in and without TLS: restrict them to a private network, or listen on 127.0.0.1`;
    return [{ path: ['health', name], message }];
  });
}

function pushExposure({ push, sources }: Config): Problem[] {
  const isOpen = Object.values(sources).some(({ pushSecret }) => pushSecret !== undefined);
  if (!isOpen || push.tls || isLoopback(hostOf(push.listen))) return [];
  const message = `the secret of the plugin is sent unencrypted: set push.tls, or listen on 127.0.0.1`;
  return [{ path: ['push', 'listen'], message }];
}

function redisExposure({ redis }: Config): Problem[] {
  const url = redis.url instanceof Secret ? redis.url.reveal() : redis.url;
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
  const hosts = parsed ? [parsed.hostname] : (redis.sentinel?.addresses ?? redis.cluster ?? []).map(hostOf);
  if (hosts.every(isLoopback)) return [];
  const path = ['redis', parsed ? 'url' : redis.sentinel ? 'sentinel' : 'cluster'];
  const problems: Problem[] = [];
  const hasPassword = redis.password !== undefined || (parsed !== undefined && parsed.password !== '');
  const hasTls = redis.tls !== undefined || parsed?.protocol === 'rediss:';
  if (!hasPassword) {
    const message =
      'Redis on another host is used without a password: anyone who can connect to it can change deliveries';
    problems.push({ path, message: `${message}; set redis.password and requirepass or an ACL user there` });
  }
  if (!hasTls) {
    const message = 'Redis on another host is used without TLS';
    problems.push({
      path,
      message: `${message}: use rediss:// or redis.tls, or a private network of the services`,
    });
  }
  return problems;
}

/** Passwords over http to another host: of sources, of targets and of webhooks. */
function clearPasswords(config: Config): Problem[] {
  const problems: Problem[] = [];
  const check = (path: (string | number)[], url: unknown, hasPassword: boolean): void => {
    if (!hasPassword || typeof url !== 'string' || !URL.canParse(url)) return;
    const { protocol, hostname } = new URL(url);
    if (protocol !== 'http:' || isLoopback(hostname)) return;
    problems.push({
      path,
      message: `the password is sent to ${hostname} unencrypted: use https, or a private network`,
    });
  };
  for (const [name, { url, username, password }] of Object.entries(config.sources))
    check(['sources', name, 'url'], url, username !== undefined || password !== undefined);
  for (const [name, target] of Object.entries(config.targets)) {
    const options = target as unknown as Record<string, unknown>;
    const where = typeof options['url'] === 'string' ? 'url' : 'endpoint';
    const login = (options['auth'] as { type?: string } | undefined)?.type ?? 'none';
    const holdsSecret = Object.values(options).some((value) => value instanceof Secret);
    // S3 and Azure with a key sign requests; the key is not transmitted.
    const signs = target.type === 's3' || (target.type === 'azure' && options['accountKey'] !== undefined);
    check(['targets', name, where], options[where], !signs && (login !== 'none' || holdsSecret));
  }
  for (const [name, webhook] of Object.entries(config.console.notifications?.webhooks ?? {})) {
    const hasSecret = Object.values(webhook.headers ?? {}).some((value) => value instanceof Secret);
    check(['console', 'notifications', 'webhooks', name, 'url'], webhookAddressOf(webhook), hasSecret);
  }
  return problems;
}
