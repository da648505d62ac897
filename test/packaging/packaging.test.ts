import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readConfig } from '@dicom-dispatch/cli';
import { tempFolder } from '@dicom-dispatch/harness';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Service } from 'kubernetes-models/v1';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const secrets = ['orthanc-password', 'push-secret', 'console-password', 'metrics-token', 'redis-url'];

/** A configuration as it is deployed, with its secrets in a folder of the test. */
async function checkDeployed(text: string, secretFolder: string): Promise<void> {
  await using folder = await tempFolder('deployed');
  await mkdir(join(folder.path, 'secrets'));
  for (const name of secrets) {
    await writeFile(
      join(folder.path, 'secrets', name),
      name === 'redis-url' ? 'redis://redis:6379' : `${name}-of-24-characters-here`,
    );
  }
  await writeFile(join(folder.path, 'dispatch.yaml'), text.replaceAll(secretFolder, `${folder.path}/secrets/`));
  await expect(readConfig(join(folder.path, 'dispatch.yaml'))).resolves.toBeDefined();
}

it('docker-compose.yml is what Compose takes, and its services are hardened', async () => {
  await using folder = await tempFolder('compose');
  await mkdir(join(folder.path, 'secrets'));
  for (const name of secrets) await writeFile(join(folder.path, 'secrets', name), 'x');
  await writeFile(join(folder.path, 'docker-compose.yml'), await readFile(join(root, 'docker-compose.yml')));
  await run('docker-compose', ['-f', join(folder.path, 'docker-compose.yml'), 'config', '-q']);
  const { services } = parse(await readFile(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, Record<string, unknown>>;
  };
  expect(Object.keys(services).sort()).toEqual(['console', 'dispatcher', 'orthanc', 'redis', 'router']);
  for (const [name, service] of Object.entries(services)) {
    expect(service, name).toMatchObject({ restart: 'unless-stopped', read_only: true, cap_drop: ['ALL'] });
    expect(service['healthcheck'], name).toBeDefined();
  }
});

it('the configuration of docker-compose.yml is good', async () => {
  await checkDeployed(await readFile(join(root, 'deploy/compose/dispatch.yaml'), 'utf8'), '/run/secrets/');
});

it('the Kubernetes manifests keep to their schemas, and so does the configuration in them', async () => {
  const kinds = { ConfigMap, Deployment, Service, PodDisruptionBudget, ScaledObject } as const;
  for (const file of ['dicom-dispatch.yaml', 'scale-dispatchers.yaml']) {
    for (const document of parseAllDocuments(await readFile(join(root, 'deploy/kubernetes', file), 'utf8'))) {
      const manifest = document.toJS() as { kind: keyof typeof kinds; data?: Record<string, string> };
      const Model = kinds[manifest.kind] as new (data: object) => { validate(): void };
      expect(() => new Model(manifest).validate(), `${file}: ${manifest.kind}`).not.toThrow();
      if (manifest.kind === 'ConfigMap') await checkDeployed(manifest.data?.['dispatch.yaml'] ?? '', '/secrets/');
    }
  }
});
