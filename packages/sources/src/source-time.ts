import type { CallOptions } from '@dicom-dispatch/orthanc';
import type { OrthancClient } from './open-source.ts';

/** Orthanc's form of a time: `YYYYMMDDTHHMMSS`, UTC. */
export function toSourceTime(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[-:]|\.\d+Z$/g, '');
}

/** Orthanc's `YYYYMMDDTHHMMSS`, UTC, in ms since 1970; undefined for anything else. */
export function fromSourceTime(text: string): number | undefined {
  const parts = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})$/.exec(text);
  if (!parts) return undefined;
  const [year = 0, month = 1, day = 1, hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hours, minutes, seconds);
}

/**
 * The clock of one source. Its dates are compared with this clock, never with ours: the two differ, and both can be wrong.
 * Between two samples it uses the monotonic clock of this process.
 */
export class SourceClock {
  #offsetMs: number | undefined;

  /** Milliseconds since 1970 by the source's clock, within a second; undefined before the first reading. */
  now(): number | undefined {
    return this.#offsetMs === undefined ? undefined : performance.now() + this.#offsetMs;
  }

  /**
   * Reads the time of the source.
   *
   * @returns by how much its clock has jumped since the last reading
   * @throws OrthancError
   */
  async ask(orthanc: OrthancClient, options?: CallOptions): Promise<{ readonly jumpMs: number }> {
    const sentAt = performance.now();
    const nowMs = fromSourceTime(await orthanc.now(options)) ?? 0;
    // Whole seconds: half a second is the expected fraction.
    const offsetMs = nowMs + 500 - (sentAt + performance.now()) / 2;
    const jumpMs = this.#offsetMs === undefined ? 0 : offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    return { jumpMs };
  }
}
