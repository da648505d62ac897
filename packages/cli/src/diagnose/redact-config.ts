import { Secret, type Config } from '@dicom-dispatch/core';

/** Options that identify a person, or this system at a server. */
const personal = /^(username|user|email|to|from|cc|clientId|subject|headers)$/i;
/** Sections whose keys are names of persons. */
const byPerson = new Set(['users', 'tokens']);
/** An expression or template with an identifying attribute may contain the name or number of a person. */
const namesPatients = /Patient(Name|ID|BirthDate|Address)|OtherPatient|AccessionNumber|Physician/i;
const quoted = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;

/** The configuration without secrets and identifying data. */
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

/** Webhooks without their addresses, which may be secrets. */
function withoutAddresses(webhooks: unknown): unknown {
  if (typeof webhooks !== 'object' || webhooks === null) return webhooks;
  return Object.fromEntries(
    Object.entries(webhooks).map(([name, webhook]) => [
      name,
      typeof webhook === 'object' && webhook !== null ? { ...webhook, url: '[hidden]' } : webhook,
    ]),
  );
}

/**
 * Texts to be removed from a bundle: all secrets of a configuration, and environment variables that configuration texts name, if
 * their name or length suggests a secret.
 */
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
