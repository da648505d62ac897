import { access, constants, link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import cookie from '@fastify/cookie';
import { OperationError } from '@dicom-dispatch/pipeline';
import {
  boundUnreadBodies,
  judgeText,
  parseListen,
  type ConfigurationStore,
  type Logger,
} from '@dicom-dispatch/runtime';
import { fastify } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { ConsoleError } from '../console-error.ts';
import { answerErrors, sendError } from '../error-answers.ts';
import type { Html } from '../pages/html.ts';
import { addSecurityHeaders } from '../security/headers.ts';
import { foreignOrigin } from '../security/same-origin.ts';
import { addStaticFiles } from '../static-files.ts';
import { SetupAccess } from './setup-access.ts';
import { setupSteps, setupText, type SetupStep } from './setup-answers.ts';
import { sendSetupRefusal, sendStepPage } from './setup-page.ts';
import { addSetupRoutes, type SetupState } from './setup-routes.ts';
import { administratorBody, ruleBody, sourceBody, startBody, targetBody } from './step-bodies.ts';

/** Maximum time from the first byte of a request to its last one. */
const requestMs = 12_000;
const maxConnections = 200;

export interface SetupOptions {
  /** Store of a configuration file that does not exist yet. */
  readonly store: ConfigurationStore;
  /** The address of the page, and of the console afterwards. */
  readonly listen: string;
  readonly log: Logger;
}

export interface RunningSetup {
  /** The link to open; its token admits one browser. */
  readonly link: string;
  /** Resolves when the file is written. */
  readonly written: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Serves the page of the first start: it requests a source, a target, a rule and an administrator, tests each, and writes the
 * configuration file.
 *
 * @throws ConsoleError if it cannot listen, or the folder of the file is not writable
 */
export async function startSetup({ store, listen, log }: SetupOptions): Promise<RunningSetup> {
  await needFolder(store.path);
  const { host, port } = parseListen(listen);
  const door = new SetupAccess(host);
  const state: SetupState = { store, listen, answers: {} };
  let done = (): void => {};
  const written = new Promise<void>((resolve) => (done = resolve));
  const server = fastify({
    logger: false,
    bodyLimit: 256 * 1024,
    forceCloseConnections: true,
    requestTimeout: requestMs,
    http: { headersTimeout: requestMs },
  });
  server.server.maxConnections = maxConnections;
  boundUnreadBodies(server.server);
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  answerErrors(server, log, (_request, reply, answer) => sendError(reply, answer));
  await server.register(cookie);
  await addSecurityHeaders(server, { isSecure: false });
  door.guard(server);
  addStaticFiles(server);
  const pages = server.withTypeProvider<ZodTypeProvider>();

  pages.get(
    '/setup',
    {
      config: { access: 'public' },
      schema: {
        querystring: z.object({
          token: z.string().max(100).optional(),
          step: z.enum(setupSteps).optional(),
          type: z.string().max(300).optional(),
        }),
      },
    },
    async (request, reply) => {
      const { token = '', step: wanted, type } = request.query;
      const why = door.enter(request, reply, token);
      if (why !== undefined) return sendSetupRefusal(request, reply, why);
      if (token !== '') return reply.redirect('/setup');
      // An external type is loaded as a program: only on request of pages of this process.
      const foreign = type === undefined ? undefined : foreignOrigin(request, undefined);
      if (foreign !== undefined) return sendSetupRefusal(request, reply, `The request was ${foreign}.`);
      const { answers } = state;
      const open = setupSteps.find((one) => answers[one] === undefined);
      const isReachable = wanted !== undefined && (answers[wanted] !== undefined || wanted === open);
      const step = type !== undefined && answers.source ? 'target' : isReachable ? wanted : (open ?? 'start');
      const body = await bodies[step](type);
      const scripts =
        step === 'rule' ? ['configure.js', 'rule-builder.js'] : [step === 'start' ? 'setup.js' : 'configure.js'];
      return sendStepPage(reply, { step, answers, csrf: door.csrf, body, scripts });
    },
  );
  const bodies: Readonly<Record<SetupStep | 'start', (type?: string) => Html | Promise<Html>>> = {
    source: () => sourceBody(state.answers),
    target: (type) => targetBody(state, state.answers, type),
    rule: () => ruleBody(state.answers),
    administrator: () => administratorBody(state.answers),
    start: () => startBody(state, state.answers),
  };
  addSetupRoutes(pages, state);
  pages.post('/setup/start', async (_request, reply) => {
    const text = setupText(state.answers, listen);
    const { problems } = await judgeText(store, text);
    const missing = setupSteps.filter((step) => !state.answers[step]);
    if (problems.length > 0 || missing.length > 0)
      throw new OperationError(
        'invalid',
        [...missing.map((step) => `${step} is missing`), ...problems.map(({ message }) => message)].join('\n'),
      );
    await writeNew(store.path, text);
    reply.raw.once('finish', done);
    return { next: '/sign-in?to=%2Ftest-study', ready: '/readyz' };
  });

  let url: string;
  try {
    url = await server.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConsoleError(
      'cannot-listen',
      `the setup page cannot listen on ${listen} (${code ?? 'unknown'}): choose another address by --listen`,
      { cause: error },
    );
  }
  return { link: `${url}/setup?token=${door.token}`, written, stop: () => server.close() };
}

async function needFolder(file: string): Promise<void> {
  try {
    await access(dirname(file), constants.W_OK);
  } catch (error) {
    throw new ConsoleError(
      'cannot-listen',
      `there is no configuration file ${file}, and the setup page cannot write to its folder (${(error as NodeJS.ErrnoException).code})`,
      { cause: error },
    );
  }
}

/** Writes a file atomically, readable only by its owner; a file created in the meantime is not replaced. */
async function writeNew(path: string, text: string): Promise<void> {
  const made = `${path}.new`;
  try {
    // Removes the file of a killed process. `wx` does not follow a link that another user has created.
    await rm(made, { force: true });
    const file = await open(made, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(made, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new OperationError(
        'conflict',
        `${path} was created in the meantime: stop "dispatch up", and start it again`,
      );
    throw new OperationError('unavailable', `${path} cannot be written (${code})`, { cause: error });
  } finally {
    await rm(made, { force: true });
  }
}
