import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

const batchMs = 500;
const aliveMs = 20_000;
const maxListeners = 200;
const maxListenersOfOne = 20;
const maxUnreadBytes = 256 * 1024;

/** Changes of studies as server-sent events, a few at a time: `event: change`, data `[{source, orthancStudyId}]`. */
export function addEvents(server: FastifyInstance, context: ConsoleContext): void {
  let listeners = 0;
  const byName = new Map<string, number>();
  server.get(
    '/api/events',
    {
      config: { access: 'viewer' },
      schema: { tags: ['system'], summary: 'Changes of studies as server-sent events' } as object,
    },
    (request, reply) => {
      const name = request.identity?.name ?? '';
      const own = byName.get(name) ?? 0;
      if (listeners >= maxListeners || own >= maxListenersOfOne) {
        void reply.header('retry-after', '30');
        return reply.code(503).send({ error: 'unavailable', message: 'Too many pages listen already.' });
      }
      listeners += 1;
      byName.set(name, own + 1);
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      raw.flushHeaders();
      const changed = new Map<string, { source: string; orthancStudyId: string }>();
      let timer: NodeJS.Timeout | undefined;
      const write = (text: string): void => {
        // Slow readers are not waited for.
        if (raw.writableLength > maxUnreadBytes) raw.destroy();
        else if (raw.writable) raw.write(text);
      };
      const sendChanges = (): void => {
        timer = undefined;
        write(`event: change\ndata: ${JSON.stringify([...changed.values()])}\n\n`);
        changed.clear();
      };
      const listening = context.changes.listen((change) => {
        // A page that receives hundreds of changes at once reloads itself anyway.
        if (changed.size < 500) changed.set(`${change.source} ${change.orthancStudyId}`, change);
        timer ??= setTimeout(sendChanges, batchMs);
      });
      void listening.ready.then(() => write(': listening\n\n'));
      const alive = setInterval(() => write(': alive\n\n'), aliveMs);
      request.raw.once('close', () => {
        listeners -= 1;
        const left = (byName.get(name) ?? 1) - 1;
        if (left > 0) byName.set(name, left);
        else byName.delete(name);
        clearTimeout(timer);
        clearInterval(alive);
        listening.stop();
      });
      return reply;
    },
  );
}
