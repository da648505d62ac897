import { describe, expect, it } from 'vitest';
import { fixtureStudy } from '../contract-suite/index.ts';
import { DispatchError } from '@dicom-dispatch/core';
import { makeStudy } from '@dicom-dispatch/samples';
import {
  boundaryOf,
  expectInstance,
  matchesKey,
  peekSopInstanceUid,
  readParts,
  retrieveInstances,
  RetrieveTally,
  type RemoteInstance,
} from './index.ts';

describe('readParts', () => {
  const body = Buffer.from(
    'a preamble\r\n--b1\r\nContent-Type: application/dicom\r\nContent-Length: 5\r\n\r\nfirst\r\n--b1\r\n\r\n\r\n--b1 \r\n' +
      'X: y\r\n\r\n\r\n--b\r\n--b1--\r\nan epilogue',
  );

  it('finds the same parts, however the body is cut', async () => {
    for (let size = 1; size <= body.length; size += 1) {
      const parts: string[] = [];
      for await (const part of readParts(pieces(body, size), 'b1')) {
        const text = Buffer.concat(await Array.fromAsync(part.body)).toString();
        parts.push(`${[...part.headers].map((pair) => pair.join('=')).join('&')}|${text}`);
      }
      expect(parts).toEqual(['content-type=application/dicom&content-length=5|first', '|', 'x=y|\r\n--b']);
    }
  });

  it('skips what was not read of a part', async () => {
    const types: number[] = [];
    for await (const { headers } of readParts(pieces(body, 7), 'b1')) types.push(headers.size);
    expect(types).toEqual([2, 0, 1]);
  });

  it.each([
    ['no delimiter', 'x'.repeat(70_000), 'target-error'],
    ['an endless header', `--b1\r\nX: ${'y'.repeat(20_000)}`, 'target-error'],
    ['an end in a part', '--b1\r\n\r\nhalf', 'target-connection-lost'],
    ['an end in the headers', '--b1\r\nX: y', 'target-connection-lost'],
    ['more than was declared', '--b1\r\nContent-Length: 3\r\n\r\nmore\r\n--b1--', 'target-error'],
    ['less than was declared', '--b1\r\nContent-Length: 5\r\n\r\nless\r\n--b1--', 'target-error'],
  ])('refuses %s', async (_name, text, code) => {
    const read = async () => {
      for await (const part of readParts(pieces(Buffer.from(text), 1000), 'b1')) await Array.fromAsync(part.body);
    };
    await expect(read()).rejects.toMatchObject({ code });
  });

  it('content may begin like a delimiter, and with a declared length contain one', async () => {
    const lines = ['\r\n--b12', '\r\n--b1x\r\n', '\r\n--b1--x', '\r\n--b1 x', '\r\n--b1 \rx', '--b1\r\n', '\r\n--b'];
    const whole = `pixels${lines.join('pixels')}`;
    const inside = `${whole}\r\n--b1\r\n\r\nand\r\n--b1--\r\n`;
    const text = `--b1\r\n\r\n${whole}\r\n--b1 \t\r\nContent-Length: ${inside.length}\r\n\r\n${inside}\r\n--b1\r\nContent-Length: 0\r\n\r\n\r\n--b1--`;
    for (const size of [1, 2, 7, 100, 1000]) {
      for (const isRead of [true, false]) {
        const parts: string[] = [];
        for await (const { body } of readParts(pieces(Buffer.from(text), size), 'b1')) {
          parts.push(isRead ? Buffer.concat(await Array.fromAsync(body)).toString() : '');
        }
        expect(parts).toEqual(isRead ? [whole, inside, ''] : ['', '', '']);
      }
    }
  });

  it('reads an empty body as no parts, and finds boundaries in media types', async () => {
    expect(await Array.fromAsync(readParts(pieces(Buffer.alloc(0), 1), 'b1'))).toEqual([]);
    expect(boundaryOf('multipart/related; type="application/dicom"; boundary=abc')).toBe('abc');
    expect(boundaryOf('Multipart/Related; Boundary="a b;c"; type="application/dicom"')).toBe('a b;c');
    expect(boundaryOf('application/dicom')).toBeUndefined();
    expect(boundaryOf(undefined)).toBeUndefined();
  });
});

it('a part is not read beyond its declared length, even if it continues', async () => {
  let given = 0;
  async function* endless() {
    yield Buffer.from('--b1\r\nContent-Length: 1000\r\n\r\n');
    for (;;) {
      given += 65_536;
      yield Buffer.alloc(65_536, 'x');
    }
  }
  const read = async () => {
    for await (const part of readParts(endless(), 'b1')) await Array.fromAsync(part.body);
  };
  await expect(read()).rejects.toMatchObject({ code: 'target-error', message: expect.stringContaining('1000 bytes') });
  expect(given).toBeLessThan(200_000);
});

describe('peekSopInstanceUid', () => {
  it('finds the UID in chunks of any size, and returns every byte', async () => {
    const [instance] = fixtureStudy({ rows: 4, columns: 4 }).instances;
    if (!instance) throw new Error('the sample study has no instance');
    const file = Buffer.concat(await Array.fromAsync(instance.read()));
    for (const size of [1, 7, 131, 132, 200, file.length]) {
      const peeked = await peekSopInstanceUid(pieces(file, size));
      expect(peeked?.sopInstanceUid).toBe(instance.manifest.sopInstanceUid);
      expect(Buffer.concat(await Array.fromAsync(peeked?.body ?? pieces(file, 1))).equals(file)).toBe(true);
    }
  });

  it('finds none in data that are not a Part 10 file', async () => {
    for (const text of ['', 'short', 'x'.repeat(5000), `${'\0'.repeat(128)}DICM${'\xff'.repeat(500)}`]) {
      expect(await peekSopInstanceUid(pieces(Buffer.from(text, 'latin1'), 100))).toBeUndefined();
    }
  });
});

describe('retrieveInstances', () => {
  it('retrieves the others if one cannot be named, retrieved, or stored, and reports which', async () => {
    const kept: string[] = [];
    const tally = new RetrieveTally(() => {});
    tally.total(4);
    const instance = (sopInstanceUid: string, isThere = true): RemoteInstance => ({
      studyInstanceUid: '1',
      sopInstanceUid,
      async fetch() {
        if (isThere) return { sizeBytes: 2, body: pieces(Buffer.of(8, 0), 1) };
        throw new DispatchError('target-error', 'it is damaged');
      },
    });
    const signal = new AbortController().signal;
    await retrieveInstances(
      [instance('1.2.x'), instance('1.2.1', false), instance('1.2.2'), instance('1.2.3')],
      {
        canKeep: (uid) => !uid.includes('x'),
        async store(uid) {
          if (uid === '1.2.2') throw new DispatchError('instance-refused', 'the source did not keep it');
          kept.push(uid);
        },
      },
      { lanes: 2, tally, signal },
    );
    expect(kept).toEqual(['1.2.3']);
    expect(tally.result).toMatchObject({ completed: 1, failed: 3, remaining: 0 });
    const problems = new Map(tally.result.problems?.map((one) => [one.sopInstanceUid, one.reason]));
    expect(problems.get('1.2.x')).toBe('its SOP Instance UID is malformed');
    expect(problems.get('1.2.1')).toBe('the target did not send it: it is damaged');
    expect(problems.get('1.2.2')).toBe('the source did not keep it');
  });
});

describe('expectInstance', () => {
  const [sample] = [...makeStudy({ seed: 'asked', series: 1, instancesPerSeries: 1, rows: 4, columns: 4 })];
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid, bytes } = sample!;
  const asked = { studyInstanceUid, seriesInstanceUid, sopInstanceUid };
  const came = () => ({ sizeBytes: undefined, body: pieces(bytes, 100) });

  it('returns the bytes of the requested instance', async () => {
    for (const one of [asked, { ...asked, seriesInstanceUid: undefined }]) {
      const { body } = await expectInstance(one, came());
      expect(Buffer.concat(await Array.fromAsync(body)).equals(bytes)).toBe(true);
    }
  });

  it.each([
    ['another instance', { sopInstanceUid: '1.2' }],
    ['an instance of another study with the same UID', { studyInstanceUid: '1.2' }],
    ['an instance of another series with the same UID', { seriesInstanceUid: '1.2' }],
  ])('refuses %s', async (what, other) => {
    await expect(expectInstance({ ...asked, ...other }, came())).rejects.toThrow(`the target sent ${what} than`);
  });

  it.each([Buffer.alloc(2_000), Buffer.from('<html>please log in</html>'), Buffer.alloc(0)])(
    'refuses what is no DICOM file',
    async (content) => {
      const coming = { sizeBytes: undefined, body: pieces(content, 100) };
      await expect(expectInstance(asked, coming)).rejects.toThrow('no DICOM file');
    },
  );
});

describe('matchesKey', () => {
  it.each([
    ['CT', 'CT', true],
    ['CT', 'ct', false],
    ['CT', 'C?', true],
    ['Thorax nativ', 'Thor*', true],
    ['Thorax', '*rax', true],
    ['Thorax', 'Tho', false],
    ['a.c', 'abc', false],
    ['MR', String.raw`CT\MR`, true],
    [undefined, 'CT', false],
    [undefined, '*', true],
    ['x', '', true],
    ['a*b', 'a*b', true],
    ['abcabc', 'a*c?bc', true],
    ['abcabc', 'a*c?bd', false],
    ['abcabc', '*abc', true],
    ['ab', 'a?*', true],
    ['a', 'a?*', false],
    ['', '?', false],
    ['😀', '?', true],
    ['a'.repeat(50_000), '*a*a*a*a*a*a*b', false],
  ])('%s, %s: %s', (value, key, expected) => {
    expect(matchesKey(value, key)).toBe(expected);
  });
});

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
