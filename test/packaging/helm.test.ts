import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const chart = join(root, 'deploy/helm');
const config = `config=${join(root, 'deploy/kubernetes/base/dispatch.yaml')}`;
/** Where ./dispatch stores downloads. */
const { NODE_COMPILE_CACHE: compiled } = process.env;
const tools = join(compiled === undefined ? join(homedir(), '.cache/dicom-dispatch') : dirname(compiled), 'helm');

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { replicas?: number; template?: { spec: PodSpec } };
}
interface PodSpec {
  readonly containers: { image: string; resources: object }[];
  readonly nodeSelector?: object;
  readonly volumes: { secret?: { secretName: string } }[];
}

async function helm(...args: readonly string[]): Promise<string> {
  return (await run(join(tools, 'helm/helm'), args)).stdout;
}

/** Manifests by kind and name. */
function manifestsIn(text: string): Map<string, Manifest> {
  const all = parseAllDocuments(text).map((one) => one.toJS() as Manifest | null);
  return new Map(all.flatMap((one) => (one === null ? [] : [[`${one.kind} ${one.metadata.name}`, one] as const])));
}

async function rendered(...values: readonly string[]): Promise<Map<string, Manifest>> {
  const set = values.flatMap((value) => ['--set', value]);
  return manifestsIn(await helm('template', 'ours', chart, '--set-file', config, ...set));
}

// helm and kubectl are only available for this processor.
describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the Helm chart', () => {
  beforeAll(() => run(join(root, 'scripts/fetch-helm'), [tools]));

  it('passes helm lint, has the version of the product, and rejects unknown values', async () => {
    const linted = await helm('lint', chart, '--strict', '--set-file', config);
    expect(linted).toContain('0 chart(s) failed');
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(await helm('show', 'chart', chart)).toMatch(
      new RegExp(`appVersion: ${version}\\n[^]*\\nversion: ${version}\\n`),
    );
    await expect(rendered('imagge.tag=1')).rejects.toThrow("additional properties 'imagge' not allowed");
    await expect(helm('template', 'ours', chart)).rejects.toThrow('give the configuration: --set-file config=');
  });

  it('makes of the values that the kustomization has what the kustomization makes', async () => {
    const everything = ['autoscaling.enabled=true', 'ingress.enabled=true', 'image.tag=1'];
    const ours = await rendered(
      ...everything,
      'ingress.host=dispatch.hospital.example',
      'ingress.tlsSecret=dispatch-certificate',
    );
    const { stdout } = await run(join(tools, 'kubectl/kubectl'), [
      'kustomize',
      join(root, 'deploy/kubernetes/ingress'),
    ]);
    const others = manifestsIn(stdout.replaceAll(/^ +namespace: dicom-dispatch\n/gm, ''));
    expect([...ours.keys()].sort()).toEqual([...others.keys()].sort());
    expect(ours.size).toBe(14);
    for (const [name, manifest] of ours) expect(manifest, name).toEqual(others.get(name));
  });

  it('uses image, secret, numbers, resources and places of the values', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const all = await rendered(
      `image.digest=${digest}`,
      'existingSecret=other',
      'dispatcher.replicas=5',
      'dispatcher.resources.limits.memory=1Gi',
      'nodeSelector.disk=ssd',
      'networkPolicy.enabled=false',
    );
    const { spec } = all.get('Deployment dispatcher') ?? {};
    expect(spec?.replicas).toBe(5);
    const pod = spec?.template?.spec;
    expect(pod?.containers[0]).toMatchObject({
      image: `registry.hospital.example/dicom-dispatch@${digest}`,
      resources: { limits: { memory: '1Gi' } },
    });
    expect(pod?.nodeSelector).toEqual({ disk: 'ssd' });
    expect(pod?.volumes.find(({ secret }) => secret)?.secret?.secretName).toBe('other');
    expect([...all.keys()].filter((name) => name.startsWith('NetworkPolicy'))).toEqual([]);
  });
});
