import { DicomObjectCache, openCache, QueryCache } from '@dicom-dispatch/cache';

await using cache = await openCache({
  redis: process.env['REDIS_URL'] ?? 'redis://localhost:6379',
  prefix: '{example}',
  secret: process.env['CACHE_SECRET'] ?? 'at least one long random text',
});

const objects = new DicomObjectCache(cache, 'archive');
const series = { seriesInstanceUid: '1.2.3.1', attributes: { Modality: 'CT' } };
const study = { studyInstanceUid: '1.2.3', attributes: { PatientID: 'P1' }, series: [series] };

// `series`: the study has no other series. Its instances are unknown.
await objects.add(study, 'series');
const found = await objects.get({ studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.1' });
console.log(found.state === 'found' && found.object.attributes);

// Answers to queries point to these objects: a change shows in every answer.
const queries = new QueryCache(cache, objects, 'archive');
await queries.put({ Modality: 'CT' }, [study]);
await objects.update({ studyInstanceUid: '1.2.3' }, { PatientID: 'P2' });
console.log((await queries.get({ Modality: 'CT' }))?.[0]?.attributes);
await cache.clear();
