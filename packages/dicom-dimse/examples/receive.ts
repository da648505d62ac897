/** A Storage SCP that writes received instances to a folder. node examples/receive.ts PORT FOLDER */
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createServer } from 'dicom-dimse';

const [port = '11112', folder = '.'] = process.argv.slice(2);

const server = createServer({
  aeTitle: 'EXAMPLE',
  // Anything, in the first transfer syntax that is proposed. A list of contexts would do as well.
  presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
  handlers: {
    async store(instance) {
      const path = join(folder, `${instance.sopInstanceUid}.dcm`);
      // The peer is held back while the disk is slow. A throw is answered with 0110, processing failure.
      await pipeline(instance.part10(), createWriteStream(`${path}.part`));
      await rename(`${path}.part`, path);
      return 0;
    },
  },
});
const { port: bound } = await server.listen({ port: Number(port) });
console.log(`listening on ${bound}`);
process.once('SIGTERM', () => void server.close({ graceMs: 10_000 }));
