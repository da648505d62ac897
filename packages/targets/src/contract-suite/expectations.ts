import { Secret } from '@dicom-dispatch/core';
import { expect } from 'vitest';
import { fixtureStudy, type FixtureStudy } from './fixture-study.ts';
import type { hostileTags } from './hostile-tags.ts';
import type { Attempt } from '@dicom-dispatch/target-kit/testing';

export function hostileStudy(seed: string, { name, value }: (typeof hostileTags)[number]): FixtureStudy {
  return fixtureStudy({
    seed: `${seed} ${name}`,
    series: 1,
    instancesPerSeries: 1,
    rows: 8,
    columns: 8,
    studyTags: { PatientID: value, PatientName: value, StudyDescription: value, AccessionNumber: value },
    seriesTags: { Modality: value, SeriesDescription: value, SeriesNumber: value },
  });
}

export function expectNoError(attempt: Attempt): void {
  expect(attempt.error?.toRecord(), `${String(attempt.error?.stack)}\n${String(attempt.error?.cause)}`).toBeUndefined();
}

/** An operator reads code, message and remedy: sentences, without secrets and without patient data. */
export function expectReadable({ error }: Attempt, { tags }: FixtureStudy, config: unknown): void {
  const text = `${error?.message}\n${error?.remedy}`;
  expect(error?.message.length).toBeGreaterThan(10);
  expect(error?.message.length).toBeLessThan(400);
  expect(error?.remedy.length).toBeGreaterThan(10);
  expect(text).not.toMatch(/undefined|\[object|NaN|\bnull\b|\n\s+at /);
  for (const secret of secretsOf(config)) expect(text).not.toContain(secret);
  const patient = [tags.study.PatientID, tags.study.PatientName, tags.study.AccessionNumber];
  for (const value of patient) if (value) expect(text).not.toContain(value);
}

export function secretsOf(config: unknown): string[] {
  if (config instanceof Secret) return [config.reveal()];
  if (config === null || typeof config !== 'object') return [];
  return Object.values(config).flatMap(secretsOf);
}

export async function factsOf(
  instance: FixtureStudy['instances'][number],
  keeps: 'file' | 'dataset',
): Promise<[string, number]> {
  const facts = await instance.facts();
  return [facts.sopInstanceUid, keeps === 'file' ? facts.fileDigest : facts.datasetDigest];
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
