import { sourceOfTarget } from '../rules/target-source.ts';
import { nextStartAt } from '../schedule/next-window.ts';
import type { Config } from './config-schema.ts';
import { isWebhookAddress } from './notifications-config.ts';
import { isPasswordHash, passwordProblem } from './password-rules.ts';
import type { Problem } from './problem.ts';
import { tlsProblems } from './tls-problems.ts';
import { needsSecret } from './transform-config.ts';

/** Valid configurations that cannot work: a missing secret, windows that never overlap, studies that circulate. */
export function meaningProblems(config: Config): Problem[] {
  return [
    ...secretProblems(config),
    ...searchKeyProblems(config),
    ...consoleProblems(config),
    ...scheduleProblems(config),
    ...loopProblems(config),
    ...tlsProblems(config),
    ...timerProblems(config),
  ];
}

function secretProblems(config: Config): Problem[] {
  if (config.pseudonyms) return [];
  return Object.entries(config.transforms)
    .filter(([, transform]) => needsSecret(transform))
    .map(([name]) => ({
      path: ['transforms', name],
      message: `"${name}" creates pseudonyms or new UIDs, which need a key: set pseudonyms.secret`,
    }));
}

/** Below this a token can be guessed; see `authenticate` of the console. */
const minTokenLength = 20;
const minKeyLength = 16;

/** With a guessable key, anybody with access to Redis could try accession numbers. */
function searchKeyProblems({ records }: Config): Problem[] {
  return (records.searchKey ?? []).flatMap((key) => {
    const { length } = key.reveal();
    if (length === 0 || length >= minKeyLength) return [];
    const message = `the key has ${length} characters: use at least ${minKeyLength}, e.g. of openssl rand -hex 32`;
    return [{ path: ['records', 'searchKey'], message }];
  });
}

/** Secrets that are too easy to guess. An unreadable secret is reported where it is read. */
function consoleProblems({ console }: Config): Problem[] {
  const problems: Problem[] = [];
  const add = (path: string[], message: string): void => void problems.push({ path: ['console', ...path], message });
  const accounts = [...Object.values(console.users ?? {}), ...Object.values(console.tokens ?? {})];
  if (accounts.length > 0 && !console.oidc && !accounts.some(({ enabled }) => enabled))
    add(
      console.users ? ['users'] : ['tokens'],
      'all users and tokens are disabled, so nobody could sign in: enable one',
    );
  for (const [name, { token }] of Object.entries(console.tokens ?? {})) {
    const text = token.reveal();
    if (text === '') continue;
    if (text.length < minTokenLength)
      add(
        ['tokens', name, 'token'],
        `the token has ${text.length} characters: use at least ${minTokenLength}, e.g. of openssl rand -hex 32`,
      );
    else if (!/^[\x21-\x7e]{1,1024}$/.test(text))
      add(
        ['tokens', name, 'token'],
        'the token has characters that are not allowed in a header: use printable ASCII without spaces, at most 1024',
      );
  }
  for (const [name, { password }] of Object.entries(console.users ?? {})) {
    const text = password.reveal();
    const why = text === '' || isPasswordHash(text) ? undefined : passwordProblem(text, name);
    if (why !== undefined) add(['users', name, 'password'], `the password ${why}`);
  }
  for (const [name, { url }] of Object.entries(console.notifications?.webhooks ?? {})) {
    if (typeof url === 'string' || url.reveal() === '' || isWebhookAddress(url.reveal())) continue;
    add(
      ['notifications', 'webhooks', name, 'url'],
      'the value behind it is no URL with http:// or https://: correct it',
    );
  }
  for (const key of console.secret ?? []) {
    const { length } = key.reveal();
    if (length > 0 && length < minKeyLength)
      add([], `secret has ${length} characters: use at least ${minKeyLength}, e.g. of openssl rand -hex 32`);
  }
  return problems;
}

/** A longer timer of Node fires at once. */
const maxTimerMs = 2 ** 31 - 1;

function timerProblems({ sources, targets, dispatcher }: Config): Problem[] {
  const problems: Problem[] = [];
  collect({ sources, targets, dispatcher }, []);
  return problems;

  function collect(value: unknown, path: readonly string[]): void {
    if (typeof value === 'number' && value > maxTimerMs && isTimer(path)) {
      problems.push({ path, message: 'is longer than 24d, the longest time that can be waited for: shorten it' });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    for (const [key, item] of Object.entries(value)) collect(item, [...path, key]);
  }
}

function isTimer(path: readonly string[]): boolean {
  const [name = '', section = ''] = [path.at(-1), path.at(-2)];
  if (section === 'sweep') return true;
  return /timeout$/i.test(name) || ['pollInterval', 'lockTime', 'graceTime', 'delay', 'connectDelay'].includes(name);
}

/** A Monday; windows repeat by the week. */
const someMonday = Date.UTC(2024, 0, 1);

function scheduleProblems(config: Config): Problem[] {
  return config.rules.flatMap((rule, index) => {
    const { schedule } = rule;
    if (!schedule || !rule.enabled) return [];
    return targetsOf(config, rule.targets).flatMap((name): Problem[] => {
      const other = config.targets[name]?.schedule;
      if (!other || nextStartAt([[schedule], [other]], someMonday) !== undefined) return [];
      return [
        {
          path: ['rules', index, 'schedule'],
          message: `its windows and those of the target "${name}" are never open at the same time: change them so that they overlap`,
        },
      ];
    });
  });
}

/**
 * Sources that send every study to each other in a ring. Rules with a condition may be intended; a study that still returns
 * is rejected when it is routed (see `docs/rules.md`).
 */
function loopProblems(config: Config): Problem[] {
  const edges: { from: string; to: string; rule: number; target: string }[] = [];
  for (const [index, rule] of config.rules.entries()) {
    if (!rule.enabled || rule.when !== undefined || rule.fallback) continue;
    for (const target of targetsOf(config, rule.targets)) {
      const targetConfig = config.targets[target];
      const to = targetConfig && sourceOfTarget(targetConfig, config.sources);
      if (to === undefined) continue;
      for (const from of rule.sources ?? Object.keys(config.sources)) edges.push({ from, to, rule: index, target });
    }
  }
  return edges.flatMap((edge): Problem[] => {
    const way = wayBack(edge.to, edge.from, edges);
    if (!way) return [];
    const ring = [edge.from, ...way].join(' to ');
    return [
      {
        path: ['rules', edge.rule, 'targets'],
        message: `every study would be sent in a loop, from ${ring}: "${edge.target}" is the source ${edge.to}; give the rule a condition, e.g. when: origin.RemoteAET != "…", or other sources`,
      },
    ];
  });
}

/** The sources from one to another along the edges, both included. */
function wayBack(
  from: string,
  to: string,
  edges: readonly { readonly from: string; readonly to: string }[],
  seen: readonly string[] = [],
): string[] | undefined {
  if (from === to) return [to];
  for (const edge of edges) {
    if (edge.from !== from || seen.includes(edge.to)) continue;
    const rest = wayBack(edge.to, to, edges, [...seen, from]);
    if (rest) return [from, ...rest];
  }
  return undefined;
}

function targetsOf(config: Config, names: readonly string[]): string[] {
  return names.flatMap((name) => config.groups[name]?.targets ?? [name]);
}
