/** Collects the parts of a PDU; the length of an item is known once its parts are. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }

  u8(value: number): this {
    return this.bytes(Uint8Array.of(value & 0xff));
  }

  u16(value: number): this {
    return this.bytes(Uint8Array.of((value >>> 8) & 0xff, value & 0xff));
  }

  u32(value: number): this {
    return this.bytes(Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff));
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'latin1'));
  }

  /** A 16-bit length and the text. */
  text16(value: string): this {
    return this.u16(value.length).text(value);
  }

  bytes16(value: Uint8Array): this {
    return this.u16(value.length).bytes(value);
  }

  /** An item: type, a reserved byte, a 16-bit length, the content. */
  item(type: number, content: ByteWriter): this {
    return this.u8(type).u8(0).u16(content.length).append(content);
  }

  append(other: ByteWriter): this {
    for (const part of other.#parts) this.bytes(part);
    return this;
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }
}
