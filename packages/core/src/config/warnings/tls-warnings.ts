import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';

const switches: Readonly<Record<string, string>> = {
  verify:
    'any certificate is accepted, so an attacker on the network can read and change the data; set its authority in tls.ca',
  verifyHostname:
    'a certificate of any host of that authority is accepted; set tls.serverName to the name in its certificate',
};

/** Checks of certificates and host keys that are switched off, and passwords allowed in the clear. */
export function tlsWarnings(config: Config): Problem[] {
  const problems: Problem[] = [];
  for (const [name, target] of Object.entries(config.targets)) collect(target, ['targets', name]);
  if (config.console.notifications?.smtp?.allowPlaintext) {
    problems.push({
      path: ['console', 'notifications', 'smtp', 'allowPlaintext'],
      message:
        'password and patient data may be sent to the mail server unencrypted: use a server with STARTTLS or secure',
    });
  }
  return problems;

  function collect(value: unknown, path: readonly (string | number)[]): void {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, item] of Object.entries(value)) {
      const why = path.at(-1) === 'tls' && item === false ? switches[key] : undefined;
      if (why !== undefined) problems.push({ path: [...path, key], message: `is disabled: ${why}` });
      else collect(item, [...path, key]);
    }
  }
}
