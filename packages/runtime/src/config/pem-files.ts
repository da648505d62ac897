import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Config } from '@dicom-dispatch/core';

/** A file of a TLS section. */
export interface PemFile {
  /** Of the option; the last part is its name. */
  readonly path: readonly string[];
  readonly file: string;
}

const maxPemBytes = 4_000_000;

/** Text of a PEM file; empty if it is too large for one. @throws the error of the file system */
export async function readPem(file: string): Promise<string> {
  const { size } = await stat(file);
  return size > maxPemBytes ? '' : readFile(file, 'utf8');
}

/** Files that the TLS sections of a configuration name: `ca`, `cert` and `key`. */
export function pemFiles({ sources, targets, redis, push, console }: Config): PemFile[] {
  const files: PemFile[] = [];
  collect({ sources, targets, redis, push, console }, []);
  return files;

  function collect(value: unknown, path: readonly string[]): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    const isTls = path.at(-1) === 'tls' || path.at(-1) === 'smtp';
    for (const [key, item] of Object.entries(value)) {
      if (isTls && ['ca', 'cert', 'key'].includes(key) && typeof item === 'string')
        files.push({ path: [...path, key], file: item });
      else collect(item, [...path, key]);
    }
  }
}

/** When the certificates of a file are valid: ms since 1970. */
export interface Validity {
  readonly from: number;
  readonly until: number;
}

const certificate = /-----BEGIN (TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (TRUSTED )?CERTIFICATE-----/g;

/**
 * The time in which all certificates of a chain are valid. Of several authorities (`ca`) it is that of the one that is
 * valid for the longest time: a file may still contain former ones.
 *
 * @returns undefined without a certificate
 * @throws Error if a certificate cannot be read
 */
export function validityOf(option: string, text: string): Validity | undefined {
  const all = (text.match(certificate) ?? []).map((one): Validity => {
    const { validFromDate, validToDate } = new X509Certificate(one);
    return { from: validFromDate.getTime(), until: validToDate.getTime() };
  });
  if (all.length === 0) return undefined;
  if (option === 'ca') return all.reduce((one, other) => (other.until > one.until ? other : one));
  return { from: Math.max(...all.map(({ from }) => from)), until: Math.min(...all.map(({ until }) => until)) };
}

/** A certificate that expires within this time is reported. */
export const expiresSoonMs = 14 * 24 * 3_600_000;

/** Why a certificate needs attention, as part of a sentence with a day in UTC; undefined if it does not. */
export function dueWords({ from, until }: Validity, now: number): string | undefined {
  if (now < from) return `is not valid before ${day(from)}`;
  if (now >= until) return `expired on ${day(until)}`;
  return now >= until - expiresSoonMs ? `expires on ${day(until)}` : undefined;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
