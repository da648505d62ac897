import { readFile, writeFile } from 'node:fs/promises';
import { waitFor } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startCommandHost, type CommandHost } from './support/run-commands.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

/** Two processes, each with its own file: one with all services, and an additional dispatcher. */

let system: System;
let up: RunningDispatch;
let dispatcher: RunningDispatch;
let old: FaultScp;
let pacs: FaultScp;
/** The command line, typed in the folder of `up`. */
let host: CommandHost;
let both: Record<string, object>;
const toOld = [{ name: 'first', targets: ['old'] }];
const toPacs = [{ name: 'second', targets: ['pacs'] }];

beforeAll(async () => {
  [system, old, pacs] = await Promise.all([startSystem(), startFaultScp(), startFaultScp()]);
  both = { old: pacsTarget(old, { maxParallel: 1 }), pacs: pacsTarget(pacs) };
  const config = system.config(both, { rules: toOld });
  up = await startDispatch({ config });
  dispatcher = await startDispatch({ command: 'dispatcher', config });
  host = startCommandHost({ cwd: up.folder, env: {} });
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await Promise.all([up?.stop(), dispatcher?.stop()]);
  await Promise.all([system?.[Symbol.asyncDispose](), old?.down(), pacs?.down()]);
});

/** Writes sections of the configuration into the files of some processes. */
async function change(sections: Readonly<Record<string, unknown>>, ...processes: readonly RunningDispatch[]) {
  for (const { configFile } of processes.length > 0 ? processes : [up, dispatcher]) {
    const config = parse(await readFile(configFile, 'utf8')) as object;
    await writeFile(configFile, stringify({ ...config, ...sections }));
  }
}

async function reload(): Promise<{
  status: number;
  body: { answers?: { outcome: string; notes: readonly string[] }[]; message?: string };
}> {
  const answer = await fetch(`${up.url}/api/configuration/reload`, { method: 'POST' });
  return { status: answer.status, body: (await answer.json()) as { message?: string } };
}

async function rulesInUse(): Promise<string[]> {
  const { body } = await up.get('/api/rules');
  return (body as { rules: { name: string }[] }).rules.map(({ name }) => name);
}

interface TargetNow {
  readonly name: string;
  readonly orphaned: boolean;
  readonly counts: { readonly waiting: number };
}
async function targetsNow(): Promise<TargetNow[]> {
  return ((await up.get('/api/targets')).body as { targets: TargetNow[] }).targets;
}

function got(scp: FaultScp, study: UploadedStudy): string[] {
  return scp.stores.map(({ sopInstanceUid }) => sopInstanceUid).filter((uid) => study.datasets.has(uid));
}

describe('a changed configuration', () => {
  it('applies to the next study, and a running delivery to a removed target continues as it began', async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    old.answer = async (_uid, count) => {
      if (count >= 3) await gate;
      return 0;
    };
    const underWay = await system.upload({ seed: 'under-way', instancesPerSeries: 10 });
    await waitFor(() => old.stores.length >= 3, { message: 'it is under way' });
    await change({ targets: { pacs: both['pacs'] }, rules: toPacs });
    const { status, body } = await reload();
    expect({ status, outcomes: body.answers?.map(({ outcome }) => outcome) }, JSON.stringify(body)).toEqual({
      status: 200,
      outcomes: ['applied', 'applied'],
    });
    expect(await rulesInUse()).toEqual(['second']);
    const next = await system.upload({ seed: 'next', instancesPerSeries: 2 });
    await system.untilDelivery(next, 'pacs', ['delivered']);
    expect(got(old, next)).toEqual([]);
    open();
    const delivery = await system.untilDelivery(underWay, 'old', ['delivered']);
    expect(delivery.rules).toEqual(['first']);
    expect(got(old, underWay).sort()).toEqual([...underWay.datasets.keys()].sort());
    expect(got(pacs, underWay)).toEqual([]);
  });

  it('is rejected with reasons if one process cannot use it, and everything continues', async () => {
    await change({ rules: [{ name: 'third', targets: ['pacs'] }] }, up);
    await change(
      { rules: [{ name: 'third', when: 'study.PatinetName == "x"', targets: ['pacs', 'none'] }] },
      dispatcher,
    );
    const { status, body } = await reload();
    expect(status).toBe(400);
    expect(body.message).toMatch(
      /dispatcher \(.*dispatch\.yaml:\d+:\d+: rules\[0\]\.targets\[1\]: "none" is not among/,
    );
    expect(body.message).toContain(
      'line 1, column 7: "PatinetName" is not a DICOM keyword; the nearest is PatientName',
    );
    expect(await rulesInUse()).toEqual(['second']);
    const cli = await host.run('reload');
    expect(cli, cli.err).toMatchObject({ code: 2, out: expect.stringContaining('the previous configuration stays') });

    await writeFile(up.configFile, 'sources: [');
    await up.kill('SIGHUP');
    await waitFor(() => up.output().includes('the configuration is rejected'), { message: 'it is refused' });
    const next = await system.upload({ seed: 'refused', instancesPerSeries: 1 });
    await system.untilDelivery(next, 'pacs', ['delivered']);
    expect(await rulesInUse()).toEqual(['second']);
    const config = system.config(both, { rules: toOld });
    const { port } = new URL(up.url);
    await writeFile(up.configFile, stringify({ ...config, console: { listen: `127.0.0.1:${port}` } }));
    await change({ targets: both, rules: toOld }, dispatcher);
  });

  it('is applied on SIGHUP; waiting deliveries of a removed target are kept, shown as orphaned, and moved', async () => {
    old.answer = () => 0;
    await old.down();
    await Promise.all([up.kill('SIGHUP'), dispatcher.kill('SIGHUP')]);
    await waitFor(async () => (await rulesInUse())[0] === 'first', { message: 'the rules are in use' });
    const studies = [
      await system.upload({ seed: 'orphan-1', instancesPerSeries: 2 }),
      await system.upload({ seed: 'orphan-2', instancesPerSeries: 2 }),
    ];
    for (const study of studies) await system.untilDelivery(study, 'old', ['waiting']);
    await change({ targets: { pacs: both['pacs'] }, rules: toPacs });
    expect((await reload()).status).toBe(200);
    expect((await targetsNow()).find(({ name }) => name === 'old')).toMatchObject({
      orphaned: true,
      counts: { waiting: 2 },
    });
    const [targets, status, page] = await Promise.all([
      host.run('targets'),
      host.run('status', '--check'),
      up.get('/targets/old'),
    ]);
    expect(targets.out).toMatch(/old +removed +orphaned +2/);
    expect(status.code).toBe(3);
    expect(status.out).toContain(
      '! the target old was removed from the configuration, and 2 deliveries wait for it. dispatch target move old',
    );
    expect(page.body).toContain('This target was removed from the configuration');
    const moved = await host.run('target', 'move', 'old', '--to', 'pacs');
    expect(moved, moved.err).toMatchObject({ code: 0, out: '2 deliveries of old are moved to pacs\n' });
    for (const study of studies) {
      await system.untilDelivery(study, 'pacs', ['delivered']);
      await system.untilDelivery(study, 'old', ['moved']);
      expect(got(pacs, study).sort()).toEqual([...study.datasets.keys()].sort());
    }
    expect((await targetsNow()).map(({ name }) => name)).toEqual(['pacs']);
  });

  it('is applied when the file changes, if this is enabled; waiting deliveries can be dropped', async () => {
    const watch = { reload: { watch: true } };
    await change({ ...watch, targets: both, rules: toOld });
    expect((await reload()).status).toBe(200);
    const study = await system.upload({ seed: 'dropped', instancesPerSeries: 1 });
    const { deliveryId } = await system.untilDelivery(study, 'old', ['waiting']);
    await change({ targets: { pacs: both['pacs'] }, rules: toPacs });
    await waitFor(async () => (await targetsNow()).some(({ orphaned }) => orphaned), {
      message: 'the target is orphaned',
    });
    const dropped = await host.run('target', 'drop', 'old', '--yes');
    expect(dropped, dropped.err).toMatchObject({ code: 0, out: expect.stringContaining('1 deliveries of old') });
    expect((await system.records.delivery(deliveryId))?.state).toBe('cancelled');
    expect((await targetsNow()).map(({ name }) => name)).toEqual(['pacs']);
    expect(await system.client.zcard('{dicom-dispatch}:target-old:failed')).toBe(1);
  });

  it('that changes the address of a target is applied with the decision, which a check announces', async () => {
    const moved = { pacs: { ...both['pacs'], calledAeTitle: 'OTHER' } };
    await change({ reload: {} });
    expect((await reload()).status).toBe(200);
    await change({ targets: moved, rules: toPacs });
    const words =
      /pacs was dicom .* and is now dicom .* OTHER\. Its deliveries wait until you decide: run "dispatch target same pacs" if the content is the same, or "dispatch target new pacs" if it is another place/;
    const checked = await host.run('config', 'check');
    expect(checked, checked.err).toMatchObject({ code: 0 });
    expect(checked.out + checked.err).toMatch(words);
    const { status, body } = await reload();
    expect(status).toBe(200);
    expect(body.answers?.map(({ outcome, notes }) => [outcome, notes])).toEqual([
      ['applied', [expect.stringMatching(words)]],
      ['applied', [expect.stringMatching(words)]],
    ]);
    expect((await up.get('/targets/pacs')).body).toContain('This target has another address.');
    const again = await host.run('reload');
    expect(again.code, again.err).toBe(0);
    expect(again.out).toMatch(words);
    // Once the decision is made, nothing is reported any more.
    const decided = await host.run('target', 'new', 'pacs');
    expect(decided, decided.err).toMatchObject({ code: 0 });
    const last = await host.run('config', 'check');
    expect(last.out + last.err).not.toContain('dispatch target same');
  });

  it('is rejected if it names another Redis', async () => {
    await change({ reload: {}, redis: { url: system.redis.url, prefix: '{other}' } });
    const { status, body } = await reload();
    expect({ status, message: body.message }).toMatchObject({
      status: 400,
      message: expect.stringContaining('redis: cannot be changed while the services run'),
    });
  });
});
