import { deflateRawSync } from 'node:zlib';
import type { CharacterSet } from './character-set.ts';
import { encodeDataset, encodeHeader } from './encode-dataset.ts';
import type { Encoding } from './encode-dataset.ts';
import { encodeRleFrame } from './encode-rle.ts';
import { element } from './element.ts';
import type { Dataset } from './element.ts';
import type { Pixels } from './pixels.ts';
import { transferSyntaxes } from './transfer-syntax.ts';
import type { TransferSyntax } from './transfer-syntax.ts';
import { makeUid } from './uid.ts';

export interface Part10 {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntax: TransferSyntax;
  readonly characterSet: CharacterSet;
  readonly dataset: Dataset;
  readonly pixels?: Pixels | undefined;
}

/** A DICOM file (PS3.10 section 7): preamble, file meta information, data set. */
export function encodePart10(file: Part10): Buffer {
  const encoding = encodingOf(file.transferSyntax, file.characterSet);
  const parts = [encodeDataset(file.dataset, encoding)];
  if (file.pixels) parts.push(...encodePixels(file.pixels, file.transferSyntax, encoding));
  const written = file.transferSyntax === 'deflated' ? [deflate(Buffer.concat(parts))] : parts;
  return Buffer.concat([encodeFileMeta(file), ...written]);
}

export function encodingOf(transferSyntax: TransferSyntax, characterSet: CharacterSet): Encoding {
  return {
    explicitVr: transferSyntax !== 'implicit-le',
    bigEndian: transferSyntax === 'explicit-be',
    characterSet,
  };
}

/** Preamble, prefix and file meta information, always Explicit VR Little Endian (PS3.10 section 7.1). */
export function encodeFileMeta(file: Pick<Part10, 'sopClassUid' | 'sopInstanceUid' | 'transferSyntax'>): Buffer {
  const encoding: Encoding = { explicitVr: true, bigEndian: false, characterSet: 'ISO_IR 6' };
  const group = encodeDataset(
    [
      element(0x00020001, 'OB', Buffer.from([0, 1])),
      element(0x00020002, 'UI', file.sopClassUid),
      element(0x00020003, 'UI', file.sopInstanceUid),
      element(0x00020010, 'UI', transferSyntaxes[file.transferSyntax]),
      element(0x00020012, 'UI', makeUid('dicom-dispatch samples', 'implementation')),
      element(0x00020013, 'SH', 'DISPATCH_SAMPLES'),
    ],
    encoding,
  );
  const length = encodeDataset([element(0x00020000, 'UL', group.length)], encoding);
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), length, group]);
}

function encodePixels(pixels: Pixels, transferSyntax: TransferSyntax, encoding: Encoding): Buffer[] {
  if (transferSyntax === 'rle') return encapsulate(pixels, encoding);
  const vr = pixels.bitsAllocated === 8 && encoding.explicitVr ? 'OB' : 'OW';
  const { data } = pixels;
  const value = encoding.bigEndian && vr === 'OW' ? Buffer.from(data).swap16() : data;
  const padding = data.length % 2 === 0 ? [] : [Buffer.alloc(1)];
  return [encodeHeader(0x7fe00010, vr, data.length + padding.length, encoding), value, ...padding];
}

/** Encapsulated pixel data (PS3.5 section A.4): an empty offset table, one fragment a frame, a delimiter. */
function encapsulate(pixels: Pixels, encoding: Encoding): Buffer[] {
  const item = { ...encoding, explicitVr: false };
  const frameBytes = pixels.data.length / pixels.frames;
  const parts = [encodeHeader(0x7fe00010, 'OB', 0xffffffff, encoding), encodeHeader(0xfffee000, '', 0, item)];
  for (let frame = 0; frame < pixels.frames; frame += 1) {
    const fragment = encodeRleFrame(
      pixels.data.subarray(frame * frameBytes, (frame + 1) * frameBytes),
      pixels.bitsAllocated,
    );
    parts.push(encodeHeader(0xfffee000, '', fragment.length, item), fragment);
  }
  parts.push(encodeHeader(0xfffee0dd, '', 0, item));
  return parts;
}

/** The deflated stream has no zlib header and an even length (PS3.5 section A.5). */
function deflate(body: Buffer): Buffer {
  const deflated = deflateRawSync(body);
  return deflated.length % 2 === 0 ? deflated : Buffer.concat([deflated, Buffer.alloc(1)]);
}
