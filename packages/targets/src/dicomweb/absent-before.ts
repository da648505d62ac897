import { createHash } from 'node:crypto';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';

type Version = Pick<ManifestInstance, 'sopInstanceUid' | 'version'>;

const uidBytes = 5;
const entryBytes = uidBytes + 6;
/** Maximum number of stored instances. Further ones are sent again if their request gets no response. */
const maxInstances = 20_000;

/**
 * Instances that the target did not have when this delivery first searched for them, each in one version. Only for these a later search
 * shows whether they have arrived: for others it may list older content. Stored with the delivery as hashes, 11 bytes per instance.
 */
export class AbsentBefore {
  /** Hash of the UID to hash of the version. */
  readonly #versions = new Map<string, string>();

  /** @param kept - result of `kept` in an earlier attempt */
  static of(kept: string | undefined): AbsentBefore {
    const absent = new AbsentBefore();
    const bytes = Buffer.from(kept ?? '', 'base64');
    for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
      const entry = bytes.subarray(at, at + entryBytes);
      absent.#versions.set(entry.toString('hex', 0, uidBytes), entry.toString('hex', uidBytes));
    }
    return absent;
  }

  /**
   * Notes that the target lacks an instance, unless this delivery may have sent another version of it, which may still arrive.
   */
  add(instance: Version): void {
    const { uid, version } = hashesOf(instance);
    if (!this.#versions.has(uid) && this.#versions.size < maxInstances) this.#versions.set(uid, version);
  }

  has(instance: Version): boolean {
    const { uid, version } = hashesOf(instance);
    return this.#versions.get(uid) === version;
  }

  get kept(): string {
    return Buffer.from([...this.#versions].flat().join(''), 'hex').toString('base64');
  }
}

function hashesOf({ sopInstanceUid, version }: Version): { readonly uid: string; readonly version: string } {
  return { uid: sha256(sopInstanceUid).slice(0, 2 * uidBytes), version: sha256(version).slice(0, 2 * 6) };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
