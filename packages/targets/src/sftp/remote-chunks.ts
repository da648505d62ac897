import type { SftpSession } from './session.ts';

/** Reads request pieces that fit into one packet of a channel (32 KiB) with their header. */
const pieceBytes = 32_768 - 64;
const maxAhead = 32;

/** A file of the server in pieces, several of them requested ahead: two at first, then twice as many with every piece. */
export async function* remoteChunks(
  session: SftpSession,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const handle = await session.openFile(path, 'r', signal);
  try {
    const ahead: Promise<Buffer>[] = [];
    let position = 0;
    // Often only the beginning is needed.
    let window = 2;
    const askForOne = (): void => {
      const piece = Buffer.allocUnsafe(pieceBytes);
      const reading = session.read(handle, piece, position, signal).then((count) => piece.subarray(0, count));
      reading.catch(() => {});
      ahead.push(reading);
      position += pieceBytes;
    };
    while (ahead.length < window) askForOne();
    for (;;) {
      const piece = await ahead.shift();
      if (!piece || piece.length === 0) return;
      yield piece;
      // After a short response in the middle of a file the pieces requested ahead do not follow it: they are requested again.
      if (piece.length < pieceBytes) {
        position = position - (ahead.length + 1) * pieceBytes + piece.length;
        await Promise.allSettled(ahead.splice(0));
      }
      window = Math.min(maxAhead, window * 2);
      while (ahead.length < window) askForOne();
    }
  } finally {
    await session.closeFile(handle, signal).catch(() => {});
  }
}
