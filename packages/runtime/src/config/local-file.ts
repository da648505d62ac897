import { ConfigError } from './config-error.ts';
import { locate, type ParsedText } from './parsed-text.ts';

type Plain = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

/** The file of a host whose configuration is in Redis. */
export interface LocalFile extends ParsedText {
  readonly raw: Plain;
}

/** How the configuration in Redis is named in errors. */
export const redisTitle = 'configuration in Redis';

/** Options that are in the file of a host, and not in Redis. */
const onlyLocal: readonly string[] = ['configuration', 'redis'];
/** Options that the file of a host may override: its own addresses. */
const mayDiffer: readonly (readonly string[])[] = [['console', 'listen'], ['health']];

/** The local part of a file with `configuration: redis`; undefined for a complete configuration. @throws ConfigError */
export function asLocalFile(parsed: ParsedText): LocalFile | undefined {
  const raw = plain(parsed.raw);
  if (raw['configuration'] !== 'redis') return undefined;
  const foreign = leaves(raw).filter((path) => !isAllowed(path));
  const tops = [...new Set(foreign.map((path) => path.slice(0, path[0] === 'console' ? 2 : 1).join('.')))];
  if (tops.length === 0) return { ...parsed, raw };
  throw new ConfigError(
    parsed.title,
    tops
      .map((name) =>
        locate(parsed, {
          path: name.split('.'),
          message:
            'is in Redis for all hosts (configuration: redis): bring it there with "dispatch config import FILE", and take it out of this file',
        }),
      )
      .sort((a, b) => a.line - b.line),
  );
}

/** The configuration of a host: that of Redis, merged with the host's own options. @throws ConfigError */
export function withLocal(parsed: ParsedText, local: LocalFile): unknown {
  const shared = plain(parsed.raw);
  const misplaced = onlyLocal.filter((name) => Object.hasOwn(shared, name));
  if (misplaced.length > 0) {
    throw new ConfigError(
      parsed.title,
      misplaced.map((name) =>
        locate(parsed, {
          path: [name],
          message: 'stays in the file of each host, since it leads to Redis: take it out here',
        }),
      ),
    );
  }
  const { console, health, ...own } = local.raw;
  const sections = { console, health };
  const merged = Object.entries(sections).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, { ...plain(shared[name]), ...plain(value) }] as const],
  );
  return { ...shared, ...own, ...Object.fromEntries(merged) };
}

/** Whether a value comes from the file of the host. */
export function isLocal(path: Path, local: Plain): boolean {
  if (!isAllowed(path)) return false;
  let at: unknown = local;
  for (const key of path.slice(0, 2)) at = plain(at)[String(key)];
  return at !== undefined || onlyLocal.includes(String(path[0]));
}

function isAllowed(path: Path): boolean {
  const [top = ''] = path;
  return (
    onlyLocal.includes(String(top)) || mayDiffer.some((allowed) => allowed.every((key, index) => path[index] === key))
  );
}

/** Paths of the first two levels; deeper ones do not matter here. */
function leaves(raw: Plain): string[][] {
  return Object.entries(raw).flatMap(([name, value]) => {
    const inner = Object.keys(plain(value));
    return inner.length === 0 ? [[name]] : inner.map((key) => [name, key]);
  });
}

function plain(value: unknown): Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {};
}
