import type { Attributes } from './element.ts';

/** The pixels of an instance: one sample a pixel, unsigned, little endian, frame after frame. */
export interface Pixels {
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  readonly bitsAllocated: 8 | 16;
  readonly bitsStored: number;
  readonly data: Buffer;
}

/** The Image Pixel Module (PS3.3 section C.7.6.3) of these pixels, without the pixels. */
export function pixelAttributes(pixels: Omit<Pixels, 'data'>): Attributes {
  return {
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    NumberOfFrames: pixels.frames > 1 ? pixels.frames : undefined,
    Rows: pixels.rows,
    Columns: pixels.columns,
    BitsAllocated: pixels.bitsAllocated,
    BitsStored: pixels.bitsStored,
    HighBit: pixels.bitsStored - 1,
    PixelRepresentation: 0,
  };
}

/** The position of a pixel, in millimetres from the middle of the body: left, posterior, head (LPS). */
export type Point = readonly [x: number, y: number, z: number];

/** A plane of pixels in space (PS3.3 section C.7.6.2). */
export interface Plane {
  readonly rows: number;
  readonly columns: number;
  readonly spacingMm: number;
  /** Centre of the first pixel. */
  readonly origin: Point;
  /** Direction of a row (towards higher columns) and of a column (towards higher rows). */
  readonly rowDirection: Point;
  readonly columnDirection: Point;
}

export type Reading = 'axial' | 'coronal' | 'sagittal';

/** A plane through the body in a direction, at a position along the axis perpendicular to it. */
export function makePlane(reading: Reading, positionMm: number, rows: number, columns: number, fieldMm: number): Plane {
  const spacingMm = fieldMm / Math.max(rows, columns);
  const left = (-(columns - 1) / 2) * spacingMm;
  const top = (-(rows - 1) / 2) * spacingMm;
  const shape = { rows, columns, spacingMm };
  switch (reading) {
    case 'axial':
      return { ...shape, origin: [left, top, positionMm], rowDirection: [1, 0, 0], columnDirection: [0, 1, 0] };
    case 'coronal':
      return { ...shape, origin: [left, positionMm, -top], rowDirection: [1, 0, 0], columnDirection: [0, 0, -1] };
    case 'sagittal':
      return { ...shape, origin: [positionMm, left, -top], rowDirection: [0, 1, 0], columnDirection: [0, 0, -1] };
  }
}

/** The value of a body at every pixel of a plane, slightly smoothed so that edges are not jagged. */
export function samplePlane(plane: Plane, body: (x: number, y: number, z: number) => number): Float32Array {
  const { rows, columns, spacingMm, origin, rowDirection: across, columnDirection: down } = plane;
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const right = column * spacingMm;
      const below = row * spacingMm;
      values[row * columns + column] = body(
        origin[0] + across[0] * right + down[0] * below,
        origin[1] + across[1] * right + down[1] * below,
        origin[2] + across[2] * right + down[2] * below,
      );
    }
  }
  return smooth(values, rows, columns);
}

function smooth(values: Float32Array, rows: number, columns: number): Float32Array {
  const smoothed = values.slice();
  for (let row = 1; row < rows - 1; row += 1) {
    for (let at = row * columns + 1; at < (row + 1) * columns - 1; at += 1) {
      const around = values[at - 1]! + values[at + 1]! + values[at - columns]! + values[at + columns]!;
      smoothed[at] = values[at]! * 0.5 + around * 0.125;
    }
  }
  return smoothed;
}

/** Values as unsigned 16-bit words, limited to the range of `bitsStored`. */
export function toWords(values: Float32Array, bitsStored: number): Buffer {
  const highest = 2 ** bitsStored - 1;
  const bytes = Buffer.alloc(values.length * 2);
  for (let index = 0; index < values.length; index += 1) {
    bytes.writeUInt16LE(Math.min(highest, Math.max(0, Math.round(values[index]!))), index * 2);
  }
  return bytes;
}
