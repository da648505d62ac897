import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const folder = join(import.meta.dirname, 'static');
const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
  readonly version: string;
}

/** The static files of the pages, read once. Their URLs change with their content, so browsers may cache them. */
const files: ReadonlyMap<string, StaticFile> = new Map(
  readdirSync(folder).map((name) => {
    const bytes = readFileSync(join(folder, name));
    const version = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    return [name, { bytes, type: types[extname(name)] ?? 'application/octet-stream', version }] as const;
  }),
);

/** The URL of a file in `static/`, e.g. for a link in a page. */
export function staticUrl(name: string): string {
  const file = files.get(name);
  if (!file) throw new Error(`there is no static file ${name}`);
  return `/static/${file.version}/${name}`;
}

export function addStaticFiles(server: FastifyInstance): void {
  server.get<{ Params: { version: string; name: string } }>(
    '/static/:version/:name',
    { config: { access: 'public' }, schema: { hide: true } as object },
    async (request, reply) => {
      const file = files.get(request.params.name);
      if (!file) return reply.code(404).send({ error: 'not-found', message: 'There is no such file.' });
      return reply.type(file.type).header('cache-control', 'public, max-age=31536000, immutable').send(file.bytes);
    },
  );
}
