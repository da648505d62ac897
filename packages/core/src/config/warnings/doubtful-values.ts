import type { Config } from '../config-schema.ts';
import { hostOf, isLoopback } from '../listen-address.ts';
import type { Problem } from '../problem.ts';
import type { Secret } from '../secret.ts';
import { targetPlace } from '../target-place.ts';

/** Values that are valid alone, and contradict each other or what they are for. */
export function doubtfulValues(config: Config): Problem[] {
  return [
    ...sameTargets(config),
    ...samePorts(config),
    ...halfLogins(config),
    ...shortKeys(config),
    ...nothingSent(config),
    ...backwardBackoffs(config),
    ...contradictoryTransforms(config),
    ...unreachedPeople(config),
  ];
}

/** Two targets at one place that get the same instances. */
function sameTargets({ targets }: Config): Problem[] {
  const known = new Map<string, string>();
  return Object.entries(targets).flatMap(([name, target]): Problem[] => {
    if (target.type === 'dummy' || !target.enabled) return [];
    const { layout, key, marker } = target as unknown as Readonly<Record<string, unknown>>;
    const { transform, instances, identity } = target;
    const place = JSON.stringify([targetPlace(target).id, identity, transform, instances, layout, key, marker]);
    const other = known.get(place);
    known.set(place, other ?? name);
    if (other === undefined) return [];
    const message = `is the same place as the target ${other}: a study that rules send to both is sent there twice; keep one of them`;
    return [{ path: ['targets', name], message }];
  });
}

/** Addresses of one host on which only one can listen. */
function samePorts({ console, push, health, sources }: Config): Problem[] {
  const isPushed = Object.values(sources).some(({ pushSecret }) => pushSecret !== undefined);
  const listeners: [string[], string][] = [
    [['console', 'listen'], console.listen],
    [['health', 'router'], health.router],
    [['health', 'dispatcher'], health.dispatcher],
    ...(isPushed ? [[['push', 'listen'], push.listen] as [string[], string]] : []),
  ];
  const known: { readonly host: string; readonly port: string; readonly name: string }[] = [];
  for (const [source, { url }] of Object.entries(sources)) {
    const { hostname, port, protocol } = new URL(url);
    if (!isLoopback(hostname)) continue;
    known.push({
      host: hostOf(`${hostname}:`),
      port: port || (protocol === 'https:' ? '443' : '80'),
      name: `the source ${source}`,
    });
  }
  return listeners.flatMap(([path, address]): Problem[] => {
    const host = hostOf(address);
    const port = address.slice(address.lastIndexOf(':') + 1);
    if (port === '0') return [];
    const other = known.find((one) => one.port === port && collide(one.host, host));
    known.push({ host, port, name: path.join('.') });
    if (!other) return [];
    const message = `port ${port} is also that of ${other.name}: on one host only one of them starts; use another port`;
    return [{ path, message }];
  });
}

/** Whether only one server can listen on a port of two hosts: they are the same, or one is every address. */
function collide(one: string, other: string): boolean {
  const isEvery = (host: string): boolean => /^(0\.0\.0\.0|[0:]+)$/.test(host);
  if (one === other || isEvery(one) || isEvery(other)) return true;
  return isLoopback(one) && isLoopback(other) && (one === 'localhost' || other === 'localhost');
}

/** Logins without user name or password, user names in addresses, a sign-in that nobody passes, and tokens that are read unencrypted. */
function halfLogins({ sources, console }: Config): Problem[] {
  const problems: Problem[] = [];
  for (const [name, { url, username, password }] of Object.entries(sources)) {
    const at = (key: string): string[] => ['sources', name, key];
    if (username !== undefined && password === undefined)
      problems.push({ path: at('username'), message: 'is set without password: set both, or neither' });
    if (username === undefined && password !== undefined)
      problems.push({ path: at('password'), message: 'is set without username: set both, or neither' });
    // One with a password is reported as a secret in plain text.
    if (new URL(url).username !== '' && new URL(url).password === '') {
      const message = 'a user in the address is shown with the configuration: write it as username, with its password';
      problems.push({ path: at('url'), message });
    }
  }
  const { oidc } = console;
  if (oidc && Object.values(oidc.roles).every((values) => values.length === 0)) {
    const message = 'no group has a role, so nobody can sign in: set oidc.roles, e.g. { operator: [radiology] }';
    problems.push({ path: ['console', 'oidc'], message });
  }
  if (oidc?.issuer.startsWith('http:') && !isLoopback(new URL(oidc.issuer).hostname)) {
    const message = 'tokens of users are read unencrypted: use the https address of the identity provider';
    problems.push({ path: ['console', 'oidc', 'issuer'], message });
  }
  return problems;
}

const minKeyLength = 16;

/** Keys that can be guessed. */
function shortKeys({ sources, cache, pseudonyms, console }: Config): Problem[] {
  const keys: [(string | number)[], Secret | undefined][] = [
    [['pseudonyms', 'secret'], pseudonyms?.secret],
    ...(cache.secret ?? []).map((key): [string[], Secret] => [['cache', 'secret'], key]),
    ...Object.entries(sources).map(([name, source]): [string[], Secret | undefined] => [
      ['sources', name, 'pushSecret'],
      source.pushSecret,
    ]),
    ...Object.entries(console.notifications?.webhooks ?? {}).map(([name, hook]): [string[], Secret | undefined] => [
      ['console', 'notifications', 'webhooks', name, 'secret'],
      hook.secret,
    ]),
  ];
  return keys.flatMap(([path, key]): Problem[] => {
    const length = key?.reveal().length ?? 0;
    if (length === 0 || length >= minKeyLength) return [];
    const message = `has ${length} characters and can be guessed: use at least ${minKeyLength}, e.g. of openssl rand -hex 32`;
    return [{ path, message }];
  });
}

/** Selections that exclude every series, and addresses of one resource of a DICOMweb service. */
function nothingSent({ rules, targets }: Config): Problem[] {
  const problems: Problem[] = [];
  const check = (path: (string | number)[], exclude: readonly string[] | undefined): void => {
    const at = exclude?.findIndex((pattern) => /^\*+(\/\*+)?$/.test(pattern)) ?? -1;
    if (at < 0) return;
    problems.push({
      path: [...path, 'instances', 'exclude', at],
      message: 'excludes every series, so nothing is sent: write a pattern of those to exclude, e.g. "SR/*"',
    });
  };
  for (const [index, rule] of rules.entries()) if (rule.enabled) check(['rules', index], rule.instances?.exclude);
  for (const [name, target] of Object.entries(targets)) {
    check(['targets', name], target.instances?.exclude);
    const { url } = target as unknown as { readonly url?: unknown };
    if (target.type !== 'dicomweb' || typeof url !== 'string' || !/\/studies\/*$/.test(url)) continue;
    const message = 'ends with /studies, which is appended to it: write the base URL of the service, without /studies';
    problems.push({ path: ['targets', name, 'url'], message });
  }
  return problems;
}

function backwardBackoffs({ targets }: Config): Problem[] {
  return Object.entries(targets).flatMap(([name, { backoff }]): Problem[] => {
    if (backoff.first <= backoff.max) return [];
    const message = 'is longer than backoff.max, which is the longest wait between two attempts: swap them';
    return [{ path: ['targets', name, 'backoff', 'first'], message }];
  });
}

function contradictoryTransforms({ transforms }: Config): Problem[] {
  return Object.entries(transforms).flatMap(([name, { set, copy, remove }]): Problem[] => {
    const twice = Object.keys(set).filter((tag) => remove.includes(tag) || Object.hasOwn(copy, tag));
    return twice.map((tag) => ({
      path: ['transforms', name, 'set', tag],
      message: `${tag} is also removed or copied by this transform: keep one of them`,
    }));
  });
}

/** E-mails without a mail server, and notifications and tokens for targets that do not exist. */
function unreachedPeople({ console, targets }: Config): Problem[] {
  const { webhooks = {}, emails = {}, smtp } = console.notifications ?? {};
  const problems: Problem[] = [];
  if (!smtp && Object.keys(emails).length > 0) {
    const message = 'no e-mail is sent without a mail server: set console.notifications.smtp';
    problems.push({ path: ['console', 'notifications', 'emails'], message });
  }
  const named = [
    ...Object.entries(webhooks).map(([name, { targets: some }]) => ({
      path: ['notifications', 'webhooks', name],
      some,
    })),
    ...Object.entries(emails).map(([name, { targets: some }]) => ({ path: ['notifications', 'emails', name], some })),
    ...Object.entries(console.tokens ?? {}).map(([name, { targets: some }]) => ({ path: ['tokens', name], some })),
  ];
  for (const { path, some = [] } of named) {
    for (const [at, name] of some.entries()) {
      if (Object.hasOwn(targets, name)) continue;
      const message = `"${name}" is not among the targets: use one of ${Object.keys(targets).join(', ')}`;
      problems.push({ path: ['console', ...path, 'targets', at], message });
    }
  }
  return problems;
}
