import type { Config } from '@dicom-dispatch/core';
import { dueWords, pemFiles, readPem, validityOf, type Validity } from '../config/pem-files.ts';
import type { RedisWatch } from './watch-redis.ts';

/** A certificate that has expired, expires soon, or is not valid yet. */
export interface DueCertificate extends Validity {
  /** Dotted path of its option, e.g. `targets.pacs.tls.cert`. */
  readonly option: string;
}

const everyMs = 60_000;
/** Maximum number in the data of a process. */
const maxReported = 50;

/**
 * The certificates in files of this host that need attention. Files that are missing or damaged are omitted: other
 * checks report them.
 */
export async function dueCertificates(config: Config): Promise<DueCertificate[]> {
  const now = Date.now();
  const files = pemFiles(config).filter(({ path: [section, name = '', ...rest] }) => {
    const isOff = section === 'targets' && config.targets[name]?.enabled === false;
    return !isOff && rest.at(-1) !== 'key';
  });
  const found = await Promise.all(
    files.map(async ({ path, file }): Promise<DueCertificate[]> => {
      try {
        const validity = validityOf(path.at(-1) ?? '', await readPem(file));
        if (!validity || dueWords(validity, now) === undefined) return [];
        return [{ option: path.join('.'), ...validity }];
      } catch {
        return [];
      }
    }),
  );
  return found.flat().slice(0, maxReported);
}

/** Reports the certificates that need attention with the heartbeat of this process: now, and every minute. */
export function watchCertificates(
  config: () => Config,
  watch: Pick<RedisWatch, 'note'>,
): { readonly look: () => Promise<void>; readonly stop: () => void } {
  const look = async (): Promise<void> => watch.note({ certificates: await dueCertificates(config()) });
  const timer = setInterval(() => void look(), everyMs).unref();
  void look();
  return { look, stop: () => clearInterval(timer) };
}
