import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readConfig } from '@dicom-dispatch/cli';
import type { Config } from '@dicom-dispatch/core';
import { freePort, startHttpServer, startServer, tempFolder } from '@dicom-dispatch/harness';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { Service } from 'kubernetes-models/v1';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const secrets = ['orthanc-password', 'push-secret', 'console-password', 'redis-password', 'metrics-token', 'redis-url'];

/** Maximum time to return jobs after `dispatcher.graceTime`. */
const handBackMs = 10_000;

/** Reads a configuration as it is deployed, with its secrets in a folder of the test. */
async function readDeployed(text: string, secretFolder: string): Promise<Config> {
  await using folder = await tempFolder('deployed');
  await mkdir(join(folder.path, 'secrets'));
  for (const name of secrets) {
    await writeFile(
      join(folder.path, 'secrets', name),
      name === 'redis-url' ? 'redis://redis:6379' : `${name}-of-24-characters-here`,
    );
  }
  await writeFile(join(folder.path, 'dispatch.yaml'), text.replaceAll(secretFolder, `${folder.path}/secrets/`));
  return await readConfig(join(folder.path, 'dispatch.yaml'));
}

it('docker-compose.yml is valid for Compose, with hardened services and a valid configuration', async () => {
  await using folder = await tempFolder('compose');
  await mkdir(join(folder.path, 'secrets'));
  for (const name of secrets) await writeFile(join(folder.path, 'secrets', name), 'x');
  await writeFile(join(folder.path, 'docker-compose.yml'), await readFile(join(root, 'docker-compose.yml')));
  await run('docker-compose', ['-f', join(folder.path, 'docker-compose.yml'), 'config', '-q']);
  const { services, networks } = parse(await readFile(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, Record<string, unknown>>;
    networks: Record<string, unknown>;
  };
  expect(Object.keys(services).sort()).toEqual(['console', 'dispatcher', 'orthanc', 'redis', 'router']);
  for (const [name, service] of Object.entries(services)) {
    expect(service, name).toMatchObject({
      restart: 'unless-stopped',
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      user: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/),
    });
    expect(service['healthcheck'], name).toBeDefined();
  }
  // Redis cannot be reached from Orthanc, whose port is open, nor from outside.
  expect(services['redis']).toMatchObject({ networks: ['queue'] });
  expect(services['redis']?.['ports']).toBeUndefined();
  expect(services['orthanc']).toMatchObject({ networks: ['dicom'] });
  expect(networks['queue']).toEqual({ internal: true });
  const config = await readDeployed(
    await readFile(join(root, 'deploy/compose/dispatch.yaml'), 'utf8'),
    '/run/secrets/',
  );
  expect(config.redis.password).toBeDefined();
  expect(config.console.editing, 'the file is mounted read-only').toBe(false);
  const grace = String(services['dispatcher']?.['stop_grace_period']);
  expect(Number.parseInt(grace, 10) * 1_000).toBeGreaterThan(config.dispatcher.graceTime + handBackMs);
});

it('the Redis of docker-compose.yml requires its password, which is in no list of processes', async () => {
  const compose = parse(await readFile(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, { command: string[]; healthcheck: { test: string[] } }>;
  };
  const { command, healthcheck } = compose.services['redis']!;
  await using folder = await tempFolder('compose-redis');
  await writeFile(join(folder.path, 'redis-password'), 'pass-of-redis\n');
  const port = await freePort();
  /** The command as Compose passes it to the shell, with a port and a folder of the test. */
  const here = (text: string): string =>
    text
      .replaceAll('$$', '$')
      .replaceAll('/run/secrets/', `${folder.path}/`)
      .replaceAll('redis-cli', `redis-cli -p ${port}`);
  const script = here(command[2] ?? '').replace('redis-server -', `redis-server - --port ${port} --dir ${folder.path}`);
  await using server = await startServer({
    name: 'redis of compose',
    prepare: () => ({ command: command[0] ?? '', args: [command[1] ?? '', script], cwd: folder.path }),
    isReady: async () =>
      (await run('sh', ['-c', here(healthcheck.test[1] ?? '')]).catch(() => undefined)) !== undefined,
  });
  const { stdout } = await run('redis-cli', ['-p', String(port), 'ping']).catch(({ stdout }) => ({ stdout }));
  expect(stdout).toContain('NOAUTH');
  const processes = await readFile(`/proc/${server.pid()}/cmdline`, 'utf8');
  expect(processes).toContain('redis-server');
  expect(processes).not.toContain('pass-of-redis');
});

it('the health check of the image succeeds when a service responds, and only then', async () => {
  const script = join(root, 'scripts/healthcheck.mjs');
  const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
  expect(dockerfile).toMatch(/^HEALTHCHECK .* CMD \["node", "\/app\/healthcheck\.mjs"\]$/m);
  // Otherwise the response of another service on the same host would be sufficient.
  const { services } = parse(await readFile(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Readonly<Record<string, { environment?: unknown }>>;
  };
  const ports = ['console', 'router', 'dispatcher'].map((name) => services[name]?.environment);
  expect(ports).toEqual([{ HEALTH_PORT: '8080' }, { HEALTH_PORT: '8081' }, { HEALTH_PORT: '8082' }]);
  let status = 200;
  await using server = await startHttpServer((_request, response) => void response.writeHead(status).end());
  const isHealthy = (port: string): Promise<boolean> =>
    run(process.execPath, [script], { env: { HEALTH_PORT: port } }).then(
      () => true,
      () => false,
    );
  const { port } = new URL(server.url);
  expect(await isHealthy(port)).toBe(true);
  status = 503;
  expect(await isHealthy(port)).toBe(false);
  expect(await isHealthy(String(await freePort()))).toBe(false);
});

it('the systemd units start no program that Debian may lack', async () => {
  const unit = await readFile(join(root, 'deploy/debian/dicom-dispatch.service.in'), 'utf8');
  const programs = [...unit.matchAll(/^Exec\w+=(\S+)/gm)].map(([, program]) => program);
  // /bin/kill is of the package procps, which a small Debian does not have.
  expect(new Set(programs)).toEqual(new Set(['/usr/bin/dicom-dispatch', '/bin/sh']));
});

it('names what is fetched from elsewhere by its content: images by digest, tools and packages by hash', async () => {
  for (const file of ['Dockerfile', 'docker-compose.yml', 'deploy/compose/orthanc.Dockerfile']) {
    const text = await readFile(join(root, file), 'utf8');
    const images = [...text.matchAll(/^(?:ARG \w+_IMAGE=|FROM |\s*image: )(\S+)/gm)]
      .map(([, image = '']) => image)
      .filter((image) => !/^(\$\{\w+\}|scratch|parts|dicom-dispatch(-orthanc)?)$/.test(image));
    expect(images.length).toBeGreaterThan(0);
    expect(images.filter((image) => !/:[\w.-]+@sha256:[0-9a-f]{64}$/.test(image))).toEqual([]);
    expect(text).not.toMatch(/npm (install|i) .*-g|npm install --global/);
  }
  const pins = await readFile(join(root, 'scripts/pins'), 'utf8');
  const { packageManager } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    packageManager: string;
  };
  expect(pins).toContain(`${packageManager.replace('@', ' ')} sha512-`);
  const workspace = parse(await readFile(join(root, 'pnpm-workspace.yaml'), 'utf8')) as { minimumReleaseAge: number };
  expect(workspace.minimumReleaseAge).toBeGreaterThanOrEqual(7 * 24 * 60);
});

type Manifest =
  | { readonly kind: 'Deployment' | 'StatefulSet'; readonly spec: { readonly template: { readonly spec: PodSpec } } }
  | { readonly kind: 'Service' | 'PodDisruptionBudget' | 'ScaledObject' | 'NetworkPolicy' | 'Ingress' };

interface PodSpec {
  readonly terminationGracePeriodSeconds?: number;
  readonly containers: readonly { readonly name: string }[];
}

/** Expects no root user, token, capabilities or writable root file system; probes and limits are required. */
function expectHardened(pod: PodSpec): void {
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
  });
  for (const container of pod.containers) {
    expect(container).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      livenessProbe: { httpGet: { path: '/healthz' } },
      readinessProbe: { httpGet: { path: '/readyz' } },
      resources: { requests: expect.anything(), limits: { memory: expect.any(String) } },
    });
  }
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly files: readonly string[] }[];
}

/** All files that a kustomization uses, its own and those of the folders that it names. */
async function filesOf(folder: string): Promise<{ manifests: string[]; configurations: string[] }> {
  const kustomization = parse(await readFile(join(folder, 'kustomization.yaml'), 'utf8')) as Kustomization;
  const manifests: string[] = [];
  const configurations = (kustomization.configMapGenerator ?? []).flatMap(({ files }) =>
    files.map((file) => join(folder, file)),
  );
  for (const resource of kustomization.resources) {
    if (resource.endsWith('.yaml')) {
      manifests.push(join(folder, resource));
      continue;
    }
    const inner = await filesOf(join(folder, resource));
    manifests.push(...inner.manifests);
    configurations.push(...inner.configurations);
  }
  return { manifests, configurations };
}

const kinds = { Deployment, StatefulSet, Service, PodDisruptionBudget, ScaledObject, NetworkPolicy, Ingress } as const;

it('the Kubernetes manifests keep to their schemas, and so does the configuration beside them', async () => {
  const { manifests, configurations } = await filesOf(join(root, 'deploy/kubernetes/ingress'));
  expect(configurations).toHaveLength(1);
  const config = await readDeployed(await readFile(configurations[0] ?? '', 'utf8'), '/secrets/');
  expect(config.console.editing, 'a ConfigMap is read-only').toBe(false);
  const seen = new Set<string>();
  const reachable: unknown[] = [];
  for (const file of manifests) {
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      const manifest = document.toJS() as Manifest;
      seen.add(manifest.kind);
      const Model = kinds[manifest.kind] as new (data: object) => { validate(): void };
      expect(() => new Model(manifest).validate(), `${file}: ${manifest.kind}`).not.toThrow();
      if (manifest.kind === 'NetworkPolicy') reachable.push(...portsOf(manifest));
      if (manifest.kind !== 'Deployment' && manifest.kind !== 'StatefulSet') continue;
      const pod = manifest.spec.template.spec;
      expectHardened(pod);
      if (pod.containers[0]?.name === 'dispatcher')
        expect(pod.terminationGracePeriodSeconds! * 1_000).toBeGreaterThan(config.dispatcher.graceTime + handBackMs);
    }
  }
  expect([...seen].sort()).toEqual(Object.keys(kinds).sort());
  const { console: page, health, push } = config;
  const listening = [page.listen, health.router, health.dispatcher, push?.listen].map((at) =>
    Number(String(at).split(':').at(-1)),
  );
  expect([...new Set(reachable)].sort(), 'what listens can be reached by who may').toEqual(listening.sort());
});

/** The ports that a policy opens. */
function portsOf(policy: object): number[] {
  const { spec } = policy as { spec: { ingress?: { ports: { port: number }[] }[] } };
  return (spec.ingress ?? []).flatMap(({ ports }) => ports.map(({ port }) => port));
}
