import { needsSignIn } from '@dicom-dispatch/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { sendSignInPage } from '../pages/sign-in-page.ts';
import { clientKey } from './client-key.ts';
import { HashGate } from './hash-gate.ts';
import { checkPassword } from './password.ts';
import { SignInLimit } from './sign-in-limit.ts';
import { endSession, safeDestination, startSession } from './start-session.ts';

const form = z.object({
  name: z.string().max(64).default(''),
  password: z.string().max(1024).default(''),
  to: z.string().max(2000).optional(),
});
const maxFormBytes = 8 * 1024;

/** Sign-in with a name and a password of the configuration, and sign-out. */
export function addSignIn(server: ApiServer, context: ConsoleContext): void {
  const limit = new SignInLimit(context.redis, context.config().redis.prefix);
  const gate = new HashGate();
  const { devices } = context;

  server.get('/sign-in', { config: { access: 'public' } }, (request, reply) => {
    const { to } = request.query as { to?: unknown };
    if (request.identity || !needsSignIn(context.config().console)) return reply.redirect(safeDestination(to));
    return sendSignInPage(context, request, reply, { to: safeDestination(to) });
  });

  server.post('/sign-in', { config: { access: 'public' }, bodyLimit: maxFormBytes }, async (request, reply) => {
    const given = form.safeParse(request.body ?? {});
    const { name, password, to } = given.success ? given.data : { name: '', password: '', to: undefined };
    const destination = safeDestination(to);
    const users = context.config().console.users ?? {};
    const user = Object.hasOwn(users, name) ? users[name] : undefined;
    const device = user && devices.find(request, name);
    const attempt = await limit.begin(
      device === undefined ? { kind: 'name', value: name } : { kind: 'device', value: device.id },
    );
    if (!attempt) {
      context.refused.count('sign-in failed');
      return refuse(request, reply, 429, 'Too many failed attempts: wait a quarter of an hour.', destination);
    }
    // For an unknown name another password is checked: it takes as long as a wrong password.
    const kept = (user ?? Object.values(users)[0])?.password.reveal();
    const right = await gate.check(
      device === undefined ? 'unknown' : 'known',
      clientKey(request.ip),
      async () => kept !== undefined && (await checkPassword(password, kept)) && user !== undefined,
    );
    if (right === 'busy') {
      await attempt.takeBack();
      void reply.header('retry-after', '2');
      return refuse(request, reply, 503, 'Too many sign-ins at the moment: try again.', destination);
    }
    if (!right || !user) {
      context.refused.count('sign-in failed');
      noteFailure(request, user ? name : '', user ? 'wrong password' : 'unknown name');
      return refuse(request, reply, 401, 'The name or the password is wrong.', destination);
    }
    await attempt.takeBack();
    await startSession(context, request, reply, { name, by: 'password' });
    devices.remember(reply, name);
    await context.audit.write({
      who: name,
      role: user.role,
      action: 'sign-in',
      subject: '',
      outcome: 'done',
      detail: 'by password',
      address: request.ip,
    });
    return reply.redirect(destination, 303);
  });

  server.post(
    '/api/sign-out',
    { config: { access: 'viewer' }, schema: { tags: ['system'], summary: 'End the session' } },
    async (request, reply) => {
      await endSession(context, reply, request.cookies[context.cookieName]);
      await context.audit.write({
        who: request.identity?.name ?? '',
        role: request.identity?.role ?? '',
        action: 'sign-out',
        subject: '',
        outcome: 'done',
        detail: '',
        address: request.ip,
      });
      return { signedOut: true };
    },
  );

  function refuse(
    request: FastifyRequest,
    reply: FastifyReply,
    status: number,
    message: string,
    to: string,
  ): FastifyReply {
    void reply.code(status);
    return sendSignInPage(context, request, reply, { to, message });
  }

  /** The entered name may be a password: only known names are recorded. */
  function noteFailure(request: FastifyRequest, who: string, detail: string): void {
    const facts = { who, role: '', action: 'sign-in', subject: '', detail, address: request.ip };
    context.refused.note({ ...facts, outcome: 'failed' });
  }
}
