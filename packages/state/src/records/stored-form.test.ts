import type { DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { StudyRecord } from './record-types.ts';
import { decodeData, decodeStudy, encodeData, encodeStudy, readStoredForm } from './stored-form.ts';

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const key = { source: 'main', orthancStudyId: 'o-1' };
const study: StudyRecord = {
  ...key,
  epoch: '1',
  studyInstanceUid: '1.2.3',
  contentHash: 'h',
  instanceCount: 3,
  modalities: ['CT', 'SR'],
  rules: ['all'],
  targets: ['pacs', 'cloud'],
  studyTaskId: 's-1',
  routedAt: 1_750_000_000_000,
  lastUpdate: '20260101T000000',
  search: { key: 'k', hashes: ['a', 'b', 'c'] },
};
const studies: Readonly<Record<string, StudyRecord>> = {
  'with all common fields': study,
  'without optional fields': { ...study, lastUpdate: undefined, search: undefined },
  'with empty lists': { ...study, modalities: [], rules: [], targets: [], search: { key: 'k', hashes: [] } },
  'with rare fields': {
    ...study,
    omitted: [{ target: 'web', why: 'it came from there' }],
    isIncomplete: true,
    pulled: 'p',
  },
  'with texts that JSON has to escape': { ...study, rules: ['a "quoted" one', "it's", 'é\n\\'], epoch: '[' },
};

const { targets: _, search: __, lastUpdate: ___, ...reference } = study;
const data: DeliveryData = {
  ...reference,
  modalities: ['CT', 'SR'],
  rules: ['all'],
  priority: 'normal',
  deliveryId: 'd-1',
  target: 'pacs',
};
const deliveries: Readonly<Record<string, DeliveryData>> = {
  'with all common fields': data,
  'with rare fields': {
    ...data,
    late: 'difference',
    hold: true,
    arriving: 'series',
    again: true,
    nonce: 'n',
    group: { name: 'g', strategy: 'least-busy', members: ['a', 'b'], tried: [], keepsTransform: false },
  },
};

it.each(Object.entries(studies))(
  'the record of a study %s is read as it was written, also its former form',
  (_, one) => {
    const text = encodeStudy(one);
    expect(text.length).toBeLessThan(JSON.stringify(one).length);
    expect(decodeStudy(text, key)).toEqual(one);
    expect(encodeStudy(decodeStudy(text, key))).toBe(text);
    expect(decodeStudy(JSON.stringify(one), key)).toEqual(one);
  },
);

it.each(Object.entries(deliveries))(
  'the data of a delivery %s are read as they were written, also their former form',
  (_, one) => {
    const text = encodeData(one);
    expect(text.length).toBeLessThan(JSON.stringify(one).length);
    expect(decodeData(text, 'd-1')).toEqual(one);
    expect(decodeData(JSON.stringify(one), 'd-1')).toEqual(one);
  },
);

it('Lua reads the same fields, from both forms', async () => {
  const readStudy = `${readStoredForm} return cjson.encode(study_of(ARGV[1]))`;
  const readData = `${readStoredForm} return cjson.encode(data_of(ARGV[1], 'd-1'))`;
  // Lua does not distinguish an empty list from an empty object.
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll('[]', '{}'));
  for (const [name, one] of Object.entries(studies)) {
    const { source, orthancStudyId, ...rest } = one;
    const read = async (text: string): Promise<unknown> =>
      plain(JSON.parse(String(await redis.eval(readStudy, 0, text))));
    if (one.search?.hashes.length !== 0) expect(await read(encodeStudy(one)), name).toEqual(plain(rest));
    expect(await read(JSON.stringify(one)), name).toEqual(plain({ source, orthancStudyId, ...rest }));
  }
  for (const [name, one] of Object.entries(deliveries)) {
    for (const text of [encodeData(one), JSON.stringify(one)]) {
      expect(plain(JSON.parse(String(await redis.eval(readData, 0, text)))), name).toEqual(plain(one));
    }
  }
});

it('a damaged text is an error, in Lua as well', async () => {
  for (const text of ['no JSON', '', '[1,']) {
    expect(() => decodeStudy(text, key), text).toThrow(SyntaxError);
    expect(() => decodeData(text, 'd-1'), text).toThrow(SyntaxError);
    await expect(redis.eval(`${readStoredForm} return data_of(ARGV[1], '').target`, 0, text)).rejects.toThrow();
  }
});
