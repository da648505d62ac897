import { contractVersion, type DeliveryRun, type TargetHandler } from '@dicom-dispatch/target-kit';
import { inLanes, largeAtOnce, largeBytes, Suspects, withSuspects } from '@dicom-dispatch/target-kit/flow';
import { Gate, HttpConnection } from '../http/index.ts';
import { orthancAbout } from './about.ts';
import { openOrthancInventory } from './inventory.ts';
import { orthancPuller } from './pull.ts';
import { readSystem } from './read-system.ts';
import { orthancTarget, type OrthancTarget } from './schema.ts';
import { testOrthanc } from './test-connection.ts';
import { Unanswered } from './unanswered.ts';
import { uploadInstance } from './upload-instance.ts';

export const orthancHandler: TargetHandler<OrthancTarget> = {
  contractVersion,
  type: 'orthanc',
  about: orthancAbout,
  schema: orthancTarget,
  sendsParts: true,
  deliver,
  testConnection: testOrthanc,
  pull: orthancPuller,
  inventory: openOrthancInventory,
};

/** After this number of consecutive failed instances, the target is at fault: each may have waited for `timeout`. */
const failuresInRow = 5;

async function deliver(run: DeliveryRun<OrthancTarget>): Promise<void> {
  const { config, signal } = run;
  run.stage('connect');
  const http = await HttpConnection.open(config, { connections: config.maxParallel });
  try {
    const { Version: version } = await readSystem(http, signal);
    run.log.info('connected to Orthanc', { version });
    run.stage('transfer');
    const large = new Gate(largeAtOnce);
    const suspects = await Suspects.load(run);
    const unanswered = await Unanswered.load(run);
    const send = withSuspects(suspects, async (opened, { signal }) => {
      using _place = opened.instance.sizeBytes >= largeBytes ? await large.enter(signal) : undefined;
      return await uploadInstance(run, http, { opened, unanswered }, signal);
    });
    try {
      await inLanes(run, { lanes: config.maxParallel, failuresInRow }, send);
    } catch (thrown) {
      throw suspects.verdict(thrown);
    }
    if (!run.isPart) run.stage('verify');
  } finally {
    await http.close();
  }
}
