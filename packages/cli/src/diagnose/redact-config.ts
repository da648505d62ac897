import { Secret, type Config } from '@dicom-dispatch/core';

/** Data that identify a person, or us at a server. */
const personal = /^(username|user|email|to|from|cc|clientId|subject|headers)$/i;
/** Sections whose keys are names of persons. */
const byPerson = new Set(['users', 'tokens']);
/** An expression or template with an identifying attribute may contain the name or number of a person. */
const namesPatients = /Patient(Name|ID|BirthDate|Address)|OtherPatient|AccessionNumber|Physician/i;
const quoted = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;

/** The configuration as it may be shown to strangers; secrets hide themselves when they become JSON. */
export function redactConfig(config: unknown): unknown {
  if (config instanceof Secret) return '[secret]';
  if (Array.isArray(config)) return config.map((item) => redactConfig(item));
  if (typeof config === 'string') return namesPatients.test(config) ? config.replaceAll(quoted, '"[hidden]"') : config;
  if (typeof config !== 'object' || config === null) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      if (byPerson.has(key) && typeof value === 'object' && value !== null)
        return [key, Object.values(value).map((each) => redactConfig(each))];
      if (key === 'webhooks') return [key, redactConfig(withoutAddresses(value))];
      if (personal.test(key) && value !== undefined) return [key, '[hidden]'];
      return [key, redactConfig(value)];
    }),
  );
}

/** Webhooks by their name: whoever knows the address of one can post there. */
function withoutAddresses(webhooks: unknown): unknown {
  if (typeof webhooks !== 'object' || webhooks === null) return webhooks;
  return Object.fromEntries(
    Object.entries(webhooks).map(([name, webhook]) => [
      name,
      typeof webhook === 'object' && webhook !== null ? { ...webhook, url: '[hidden]' } : webhook,
    ]),
  );
}

/** All secrets of a configuration, and those from the environment: to be removed from any text. */
export function secretsOf(
  texts: readonly string[],
  config: Config | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const found: string[] = [];
  walk(config);
  for (const [, name = ''] of texts.join('\n').matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g)) {
    const value = env[name];
    const isRevealing = /PASS|SECRET|TOKEN|KEY|CRED|HASH/i.test(name) || (value?.length ?? 0) >= 12;
    if (value !== undefined && isRevealing) found.push(value);
  }
  return found;

  function walk(value: unknown): void {
    if (value instanceof Secret) found.push(value.reveal());
    else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) walk(item);
  }
}
