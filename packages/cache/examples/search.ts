import { createCachedSearcher, openCache, type Searcher } from '@dicom-dispatch/cache';

await using cache = await openCache({
  redis: process.env['REDIS_URL'] ?? 'redis://localhost:6379',
  prefix: '{example}',
  secret: process.env['CACHE_SECRET'] ?? 'at least one long random text',
});

// Any searchable source of studies: here a list, otherwise Orthanc, QIDO-RS, C-FIND.
const archive = [{ studyInstanceUid: '1.2.3', attributes: { PatientID: 'P1' }, series: [] }];
let questions = 0;
const searcher: Searcher<{ PatientID: string }> = {
  async search({ PatientID }) {
    questions += 1;
    return archive.filter(({ attributes }) => attributes.PatientID === PatientID);
  },
  async findStudyById(uid) {
    questions += 1;
    return archive.find(({ studyInstanceUid }) => studyInstanceUid === uid);
  },
};

const cached = createCachedSearcher(searcher, cache, 'archive');
await cached.search({ PatientID: 'P1' });
console.log(await cached.search({ PatientID: 'P1' }), questions);

// A study that has left, or has changed: its results are queried again.
await cached.objects.remove({ studyInstanceUid: '1.2.3' });
await cached.search({ PatientID: 'P1' });
await cached.search({ PatientID: 'P1' }, { fresh: true });
console.log(questions, await cache.clear());
