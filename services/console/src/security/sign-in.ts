import { needsSignIn } from '@dicom-dispatch/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { sendSignInPage } from '../pages/sign-in-page.ts';
import { checkPassword } from './password.ts';
import { SignInLimit } from './sign-in-limit.ts';
import { endSession, safeDestination, startSession } from './start-session.ts';

const form = z.object({
  name: z.string().max(64).default(''),
  password: z.string().max(1024).default(''),
  to: z.string().max(2000).optional(),
});

/** Sign-in with a name and a password of the configuration, and sign-out. */
export function addSignIn(server: ApiServer, context: ConsoleContext): void {
  const limit = new SignInLimit(context.redis, context.config().redis.prefix);

  server.get('/sign-in', { config: { access: 'public' } }, (request, reply) => {
    const { to } = request.query as { to?: unknown };
    if (request.identity || !needsSignIn(context.config().console)) return reply.redirect(safeDestination(to));
    return sendSignInPage(context, request, reply, { to: safeDestination(to) });
  });

  server.post('/sign-in', { config: { access: 'public' } }, async (request, reply) => {
    const given = form.safeParse(request.body ?? {});
    const { name, password, to } = given.success ? given.data : { name: '', password: '', to: undefined };
    const destination = safeDestination(to);
    if (await limit.isExceeded(name, request.ip)) {
      return refuse(request, reply, 429, 'Too many failed attempts: wait a quarter of an hour.', destination);
    }
    const users = context.config().console.users ?? {};
    const user = Object.hasOwn(users, name) ? users[name] : undefined;
    // A name that is not known takes as long as a wrong password.
    const kept = user ?? Object.values(users)[0];
    const isRight = kept !== undefined && (await checkPassword(password, kept.password.reveal())) && user !== undefined;
    if (!isRight) {
      await limit.failed(name, request.ip);
      await audit(request, user ? name : '', '', 'failed', user ? 'wrong password' : 'unknown name');
      return refuse(request, reply, 401, 'The name or the password is not right.', destination);
    }
    await limit.succeeded(name);
    await startSession(context, reply, { name, role: user.role, by: 'password' });
    await audit(request, name, user.role, 'done', 'by password');
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

  async function audit(
    request: FastifyRequest,
    who: string,
    role: string,
    outcome: 'done' | 'failed',
    detail: string,
  ): Promise<void> {
    await context.audit.write({ who, role, action: 'sign-in', subject: '', outcome, detail, address: request.ip });
  }
}
