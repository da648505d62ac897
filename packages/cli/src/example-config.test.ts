import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { exampleConfig, exampleValues, targetExamples } from '@dicom-dispatch/core';
import { loadConfig } from '@dicom-dispatch/runtime';
import { targetAbouts } from '@dicom-dispatch/targets/abouts';
import { expect, it } from 'vitest';
import { knownTargetSchemas } from './read-config.ts';

const file = fileURLToPath(new URL('../../../docs/example.yaml', import.meta.url));

it('docs/example.yaml matches the schema (otherwise: ./dispatch config example > docs/example.yaml)', async () => {
  expect(await readFile(file, 'utf8')).toBe(
    exampleConfig(knownTargetSchemas, { ...exampleValues, ...targetExamples(targetAbouts) }),
  );
});

it('docs/example.yaml is a good configuration', async () => {
  const secrets = {
    AZURE_KEY: 'x',
    CACHE_SECRET: 'x',
    ORTHANC_PASSWORD: 'x',
    SEARCH_KEY: 'a key of enough characters, as it ought to be',
    PSEUDONYM_SECRET: 'a secret of enough characters',
    SFTP_KEY: 'x',
    XNAT_PASSWORD: 'x',
  };
  const config = await loadConfig(file, { targetSchemas: knownTargetSchemas, env: secrets });
  // One of each type; dicom-tls is another name of dicom.
  expect(
    Object.values(config.targets)
      .map(({ type }) => type)
      .sort(),
  ).toEqual(
    knownTargetSchemas
      .map((schema) => String(schema.shape.type.value))
      .filter((type) => type !== 'dicom-tls')
      .sort(),
  );
});
