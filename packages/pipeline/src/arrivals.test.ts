import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { parseArrival, publishArrival, type ArrivalMessage } from './arrivals.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());

const message: ArrivalMessage = {
  source: 'main',
  orthancStudyId: 'o-1',
  from: 'series',
  instances: [
    {
      sopInstanceUid: '1.2.3.1',
      seriesInstanceUid: '1.2.3',
      studyInstanceUid: '1.2',
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      instanceNumber: 1,
      sizeBytes: 10,
      fileUuid: 'f-1',
      sourceId: 'i-1',
      version: 'v1',
    },
    {
      sopInstanceUid: '1.2.3.2',
      seriesInstanceUid: '1.2.3',
      studyInstanceUid: '1.2',
      sizeBytes: 0,
      sourceId: 'i-2',
      version: 'v1',
    },
  ] as ArrivalMessage['instances'],
};

it('instances that arrive reach the dispatchers as they are', async () => {
  const dispatcher = test.redis.duplicate();
  onTestFinished(() => dispatcher.disconnect());
  const { promise, resolve } = Promise.withResolvers<string>();
  dispatcher.on('message', (_channel, text: string) => resolve(text));
  await dispatcher.subscribe(test.operations.keys.arrivalsChannel);
  await publishArrival(test.redis, test.config.redis.prefix, message);
  expect(parseArrival(await promise)).toEqual(message);
});

it.each(['arrival', 'series', 'stable'] as const)('a message about the start "%s" is understood', (from) => {
  expect(parseArrival(JSON.stringify({ ...message, from, instances: [] }))).toEqual({
    ...message,
    from,
    instances: [],
  });
});

it.each<[string, object]>([
  ['another start', { from: 'patient' }],
  ['no source', { source: undefined }],
  ['no study', { orthancStudyId: undefined }],
  ['no list of instances', { instances: undefined }],
  ...(['sopInstanceUid', 'seriesInstanceUid', 'studyInstanceUid', 'sizeBytes', 'sourceId', 'version'] as const).map(
    (name): [string, object] => [
      `an instance without ${name}`,
      { instances: [message.instances[0], { ...message.instances[1], [name]: undefined }] },
    ],
  ),
])('a message of another version with %s is ignored', (_what, more) => {
  expect(parseArrival(JSON.stringify({ ...message, ...more }))).toBeUndefined();
});

it.each(['', '{', 'null', '[]', '"arrival"'])('a message that is not one of ours is ignored: %j', (text) => {
  expect(parseArrival(text)).toBeUndefined();
});
