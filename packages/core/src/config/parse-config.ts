import { namedMap } from '../model/named-map.ts';
import { configSchema, type Config, type TargetSchema, type WrittenConfig } from './config-schema.ts';
import { meaningProblems } from './meaning-problems.ts';
import { toProblems, type Problem } from './problem.ts';
import { referenceProblems } from './reference-problems.ts';
import { atDefaults, withoutNotes, withTargetDefaults } from './target-defaults.ts';

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Checks a complete configuration (parsed from YAML, with secrets resolved): types, values, references, and
 * whether it can work. All problems are found at once.
 */
export function parseConfig(raw: unknown, targetSchemas: readonly TargetSchema[]): ParsedConfig {
  const written = withoutNotes(raw ?? {});
  const whole = withTargetDefaults(written);
  const parsed = configSchema(targetSchemas).safeParse(whole);
  const shape = [...(parsed.success ? [] : toProblems(parsed.error, whole)), ...referenceProblems(whole)];
  const problems = parsed.success && shape.length === 0 ? meaningProblems(parsed.data) : shape;
  if (parsed.success && problems.length === 0) return { ok: true, config: withNamedMaps(parsed.data) };
  return { ok: false, problems: atDefaults(problems, written) };
}

/** Names come from requests, jobs and files: a lookup must not find built-in properties of objects. */
function withNamedMaps(written: WrittenConfig): Config {
  const { targetDefaults: _, ...config } = written;
  const { console } = config;
  return {
    ...config,
    sources: namedMap(config.sources),
    targets: namedMap(config.targets),
    groups: namedMap(config.groups),
    transforms: namedMap(config.transforms),
    console: {
      ...console,
      ...(console.users && { users: namedMap(enabledOf(console.users)) }),
      ...(console.tokens && { tokens: namedMap(enabledOf(console.tokens)) }),
      ...(console.notifications && {
        notifications: {
          ...console.notifications,
          webhooks: enabledOf(console.notifications.webhooks),
          emails: enabledOf(console.notifications.emails),
        },
      }),
    },
  };
}

/** Those that are disabled count as absent. */
function enabledOf<T extends { readonly enabled: boolean }>(entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).filter(([, { enabled }]) => enabled));
}
