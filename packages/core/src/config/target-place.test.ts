import { describe, expect, it } from 'vitest';
import { describePlace, firstId, targetPlace, type TargetConfig } from '../index.ts';

const place = (options: object): ReturnType<typeof targetPlace> => targetPlace(options as TargetConfig);
const pacs = { type: 'dicom', host: 'pacs.example', port: 104, calledAeTitle: 'PACS' };

describe('two targets are at one place', () => {
  it.each<[string, object, object]>([
    ['with another timeout', pacs, { ...pacs, timeout: 5 }],
    ['with TLS or without', pacs, { ...pacs, type: 'dicom-tls' }],
    ['if only the case or the final dot of the host differs', pacs, { ...pacs, host: 'PACS.Example.' }],
    [
      'if a URL ends with slashes',
      { type: 'orthanc', url: 'http://x:8042' },
      { type: 'orthanc', url: 'http://x:8042//' },
    ],
    [
      'if a URL has another login or query',
      { type: 'dicomweb', url: 'https://x/dicom-web' },
      { type: 'dicomweb', url: 'https://ada:pass@x/dicom-web?token=1' },
    ],
    ['if a path ends with a slash', { type: 'folder', path: '/data' }, { type: 'folder', path: '/data/' }],
    [
      'if rsync has host and module inside of via, or not',
      { type: 'rsync', host: 'x', module: 'm', path: 'p' },
      { type: 'rsync', via: { host: 'x', module: 'm' }, path: 'p' },
    ],
  ])('%s', (_name, one, other) => {
    expect(place(one).id).toBe(place(other).id);
  });
});

describe('two targets are at different places', () => {
  it.each<[string, object, object]>([
    ['with another host', pacs, { ...pacs, host: 'other' }],
    ['with another port', pacs, { ...pacs, port: 11112 }],
    ['with another called AE title', pacs, { ...pacs, calledAeTitle: 'pacs' }],
    ['with another path', { type: 'folder', path: '/data' }, { type: 'folder', path: '/DATA' }],
    ['with the root as path', { type: 'folder', path: '/' }, { type: 'folder', path: '' }],
    ['of another type', { type: 'orthanc', url: 'http://x' }, { type: 'dicomweb', url: 'http://x' }],
    ['with another bucket', { type: 's3', bucket: 'a' }, { type: 's3', bucket: 'b' }],
    [
      'with another STOW URL',
      { type: 'dicomweb', url: 'http://x' },
      { type: 'dicomweb', url: 'http://x', stowUrl: 'http://y' },
    ],
    ['of a handler from outside with another share', { type: 'nas', share: 'a' }, { type: 'nas', share: 'b' }],
  ])('%s', (_name, one, other) => {
    expect(place(one).id).not.toBe(place(other).id);
  });
});

describe('a place', () => {
  it('lists the facts of the address in their order, without secrets', () => {
    const options = { type: 'sftp', username: 'ada', host: 'X', port: 22, path: '/in/', password: 'secret' };
    expect(place(options).facts).toEqual({ type: 'sftp', username: 'ada', host: 'x', port: '22', path: '/in' });
    const { id, facts } = place({ type: 'orthanc', url: 'http://ada:pass@x:8042/' });
    expect(facts).toEqual({ type: 'orthanc', url: 'http://x:8042' });
    expect(id).toMatch(/^[0-9a-f]{16}$/);
  });

  it('of a handler from outside has the options with usual names, and no objects', () => {
    const options = { type: 'nas', server: 's', share: 'x', colour: 'red', path: { deep: 1 } };
    expect(place(options).facts).toEqual({ type: 'nas', server: 's', share: 'x' });
  });

  it('keeps the name that the configuration gives to it', () => {
    expect(place({ ...pacs, identity: 'archive' })).toMatchObject({ identity: 'archive', id: place(pacs).id });
    expect(place(pacs)).not.toHaveProperty('identity');
  });

  it('is described in one line', () => {
    expect(describePlace(place(pacs))).toBe('dicom pacs.example:104 PACS');
    expect(describePlace(place({ ...pacs, port: undefined }))).toBe('dicom pacs.example PACS');
    expect(describePlace(place({ type: 'sftp', username: 'ada', host: 'x', path: '/in', identity: 'nas' }))).toBe(
      'sftp ada@x /in (nas)',
    );
    expect(describePlace(place({ type: 'folder', path: '/data' }))).toBe('folder /data');
  });
});

describe('the id that the first versions stored', () => {
  it('is today’s for built-in types', () => {
    expect(firstId(place(pacs))).toBe(place(pacs).id);
    const azure = place({ type: 'azure', account: 'a', container: 'c' });
    expect(firstId(azure)).toBe(azure.id);
  });

  it('of a handler from outside had fewer options, and is never today’s of another', () => {
    const nas = place({ type: 'nas', host: 'x', share: 'a' });
    expect(firstId(nas)).toBe(firstId(place({ type: 'nas', host: 'x', share: 'b' })));
    expect(firstId(nas)).not.toBe(firstId(place({ type: 'nas', host: 'y', share: 'a' })));
    const plain = place({ type: 'nas', host: 'x' });
    expect(firstId(plain)).not.toBe(plain.id);
    expect(firstId(nas)).not.toBe(plain.id);
  });
});
