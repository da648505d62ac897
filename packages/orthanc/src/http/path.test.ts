import { describe, expect, it } from 'vitest';

import { noJob, noResource } from '../../test/filled-orthanc.ts';
import { path, target } from './path.ts';

const refused = expect.objectContaining({ code: 'bad-request' });

describe('path', () => {
  it('keeps values in their segment', () => {
    expect(path`/modalities/${'a.b?c#d e'}/echo`).toBe('/modalities/a.b%3Fc%23d%20e/echo');
    expect(path`/${'studies'}/${noResource}/metadata/${'LastUpdate'}`).toBe(
      `/studies/${noResource}/metadata/LastUpdate`,
    );
    expect(path`/jobs/${noJob}/cancel`).toBe(`/jobs/${noJob}/cancel`);
  });

  // Orthanc decodes %2F before it splits a path, and a proxy may decode once more.
  it.each(['', '.', '..', '...', '../../tools/now', '..%2F..%2Ftools%2Fnow', 'a/b', 'a\\b', '%2e%2e', 'a\r\nb', 'a\0'])(
    'rejects %j as a name',
    (value) => {
      expect(() => path`/modalities/${value}`).toThrowError(refused);
    },
  );

  it.each(['patients', 'studies', 'series', 'instances'])('accepts only Orthanc ids after /%s/', (level) => {
    for (const id of [
      '1',
      'now',
      noJob,
      `${noResource}0`,
      noResource.toUpperCase().replace('0', 'A'),
      ` ${noResource}`,
    ]) {
      expect(() => path`/${level}/${id}`, id).toThrowError(refused);
    }
  });

  it.each(['jobs', 'queries'])('accepts only UUIDs after /%s/', (level) => {
    for (const id of ['1', noResource, `${noJob}0`]) expect(() => path`/${level}/${id}`, id).toThrowError(refused);
  });

  it('does not repeat a long value in its error', () => {
    expect(() => path`/studies/${'x'.repeat(10_000)}`).toThrowError(/^.{0,300}$/);
  });
});

describe('target', () => {
  it('writes flags, values and nothing for what is absent', () => {
    expect(target('/x', { expand: true, since: 0, type: undefined, off: false, q: 'a&b' }).query).toBe(
      '?expand&since=0&q=a%26b',
    );
    expect(target('/x').query).toBe('');
  });
});
