import { isPasswordHash, optionFieldsAt, passwordProblem, type OptionField } from '@dicom-dispatch/core';
import { editableSections, secretText, type DraftContext } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import { hashPassword } from '../security/password.ts';
import { isEditor } from './edit-context.ts';
import type { EntrySpec } from './entry-form.ts';
import { targetType } from './target-types.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Named parts of the configuration that have a list and a form each; targets and rules have their own pages. */
export const entryKinds = ['groups', 'sources', 'transforms', 'users', 'tokens', 'webhooks', 'emails'] as const;
/** Sections that exist once. */
export const singleKinds = [
  'notifications',
  'pseudonyms',
  'records',
  'receipts',
  'cache',
  'dispatcher',
  'push',
  'logging',
  'reload',
] as const;
/** Kinds whose entries can be disabled without removing them. The same applies to targets and rules, which have their own routes. */
export const disablableKinds = ['sources', 'users', 'tokens', 'webhooks', 'emails'] as const;
/** Kinds whose entries all have the same options. */
export const formKinds = [...entryKinds, ...singleKinds] as const;
/** Kinds that the routes of entries read and change. The options of `targetDefaults` depend on the type of target. */
export const routeKinds = [...formKinds, 'targetDefaults'] as const;
export type FormKind = (typeof routeKinds)[number];

export interface KindAbout {
  readonly title: string;
  readonly noun: string;
  readonly purpose: string;
  /** Keys of their map, or of the section itself. */
  readonly path: readonly string[];
  readonly isSingle: boolean;
}

const notifications = ['console', 'notifications'];
const abouts: Readonly<Record<FormKind, Omit<KindAbout, 'isSingle'>>> = {
  groups: {
    title: 'Groups',
    noun: 'group',
    purpose: 'Targets that rules use together: all of them, the first available one, or one of them in rotation.',
    path: ['groups'],
  },
  sources: {
    title: 'Sources',
    noun: 'source',
    purpose: 'Orthanc servers whose studies are dispatched.',
    path: ['sources'],
  },
  transforms: {
    title: 'Transforms',
    noun: 'transform',
    purpose: 'Changes to instances before they are sent; the stored instances are not changed.',
    path: ['transforms'],
  },
  users: {
    title: 'Users',
    noun: 'user',
    purpose: 'Users who may sign in. Only the hash of a password is stored, encrypted.',
    path: ['console', 'users'],
  },
  tokens: { title: 'Tokens', noun: 'token', purpose: 'Programs that use the API.', path: ['console', 'tokens'] },
  webhooks: {
    title: 'Webhooks',
    noun: 'webhook',
    purpose: 'HTTP endpoints that are notified of failures, circuits and backlogs.',
    path: [...notifications, 'webhooks'],
  },
  emails: {
    title: 'E-mails',
    noun: 'e-mail',
    purpose: 'People who are notified of failures, circuits and backlogs.',
    path: [...notifications, 'emails'],
  },
  targetDefaults: {
    title: 'Target defaults',
    noun: 'defaults of',
    purpose: 'Options for all targets of a type that do not set them themselves.',
    path: ['targetDefaults'],
  },
  notifications: single(
    'Mail server',
    notifications,
    'The server that sends e-mails, and the age from which a backlog is reported.',
  ),
  pseudonyms: single('Pseudonyms', ['pseudonyms'], 'The secret for pseudonyms and new UIDs.'),
  records: single('Records', ['records'], 'Records of each study, and how long they are kept.'),
  receipts: single('Receipts', ['receipts'], 'Responses of the targets for each instance.'),
  cache: single('Cache', ['cache'], 'Results that are computed once and used by many deliveries.'),
  dispatcher: single('Dispatcher', ['dispatcher'], 'The workers.'),
  push: single('Push', ['push'], 'Pushes from the plugin inside Orthanc.'),
  logging: single('Logging', ['logging'], 'Log lines.'),
  reload: single('Reload', ['reload'], 'When the file is reloaded.'),
};

function single(title: string, path: readonly string[], purpose: string): Omit<KindAbout, 'isSingle'> {
  return { title, noun: 'section', purpose, path };
}

export function aboutKind(kind: FormKind): KindAbout {
  return { ...abouts[kind], isSingle: (singleKinds as readonly string[]).includes(kind) };
}

/** The form of a kind. */
export function kindFields(kind: (typeof formKinds)[number]): readonly OptionField[] {
  const { path, isSingle } = aboutKind(kind);
  const fields = optionFieldsAt(isSingle ? path : [...path, 'NAME']);
  // Webhooks and e-mails have separate lists.
  return kind === 'notifications' ? fields.filter(({ name }) => name !== 'webhooks' && name !== 'emails') : fields;
}

/**
 * The specification by which a form is read and an entry is written to the configuration.
 *
 * @param name - for `targetDefaults` the type of target
 * @throws OperationError `invalid` if the type does not exist
 */
export async function kindSpec(
  kind: FormKind,
  { store }: Pick<DraftContext, 'store'>,
  name: string,
): Promise<EntrySpec> {
  const { path, noun, isSingle } = aboutKind(kind);
  if (kind === 'targetDefaults') {
    const { fields } = await targetType({ store }, name, true);
    return { above: path, noun, fields: fields.map((field) => ({ ...field, isRequired: false })), isSingle: true };
  }
  const spec = { above: isSingle ? path.slice(0, -1) : path, noun, fields: kindFields(kind), isSingle };
  if (kind !== 'users') return spec;
  return {
    ...spec,
    async keep(user, { password = '' }, name) {
      // A reference stays one; an entered secret is stored as its hash.
      const { sealed } = user['password'] as { sealed?: unknown };
      if (password === '' || sealed === undefined || isPasswordHash(password)) return user;
      const why = passwordProblem(password, name);
      if (why !== undefined) throw new OperationError('invalid', `password: ${why}`);
      return { ...user, password: { sealed: await store.seal.seal(await hashPassword(password)) } };
    },
  };
}

/** @throws OperationError `conflict` for an editor, who may read and change targets, groups and rules only */
export function needKind(request: Pick<FastifyRequest, 'identity'>, kind: FormKind): void {
  const [section = ''] = aboutKind(kind).path;
  if (isEditor(request) && !editableSections.has(section))
    throw new OperationError('conflict', `only an administrator may read and change ${section}`);
}

/** A summary of an entry on one line, for the list; without secrets. */
export function summarize(kind: FormKind, value: Plain): string {
  const text = (name: string): string => {
    const one = value[name];
    return typeof one === 'string' ? one : Array.isArray(one) ? one.join(', ') : '';
  };
  switch (kind) {
    case 'groups':
      return `${text('strategy') || 'first-available'}: ${text('targets')}`;
    case 'users':
    case 'tokens':
      return text('role') || 'viewer';
    case 'sources':
      return text('url').replace(/\/\/[^/@]*@/, '//***@');
    case 'webhooks':
      return secretText(value['url']) ?? '';
    case 'emails':
      return text('to');
    default:
      return text('description') || Object.keys(value).join(', ');
  }
}
