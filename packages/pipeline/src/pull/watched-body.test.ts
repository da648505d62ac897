import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { watchedBody } from './watched-body.ts';

const [whole] = makeStudy({ seed: 'watched', instancesPerSeries: 1, rows: 16, columns: 16 });
const { bytes } = whole!;

async function* pieces(of: Buffer, error?: Error): AsyncGenerator<Buffer> {
  for (let at = 0; at < of.length; at += 100) yield of.subarray(at, at + 100);
  if (error) throw error;
}

it('a complete instance passes unchanged, without an error', async () => {
  const watched = watchedBody({ body: pieces(bytes) });
  expect(Buffer.concat(await Array.fromAsync(watched.body))).toEqual(bytes);
  expect(watched.error).toBeUndefined();
});

it('an instance that ends early is an error of it, before its last bytes', async () => {
  const watched = watchedBody({ body: pieces(bytes.subarray(0, -10)) });
  const read: Uint8Array[] = [];
  const reading = async (): Promise<void> => {
    for await (const chunk of watched.body) read.push(chunk);
  };
  const cut = {
    code: 'instance-unsupported',
    stage: 'transfer',
    message: 'the target sent an instance that ends early',
  };
  await expect(reading()).rejects.toMatchObject(cut);
  expect(watched.error).toMatchObject(cut);
  expect(Buffer.concat(read).length).toBeLessThan(bytes.length - 10);
});

it('an error of the target is known although the reader replaces it', async () => {
  const lost = new Error('the target is gone');
  const watched = watchedBody({ body: pieces(bytes.subarray(0, 500), lost) });
  expect(watched.error).toBeUndefined();
  await expect(Array.fromAsync(watched.body)).rejects.toBe(lost);
  expect(watched.error).toBe(lost);
});
