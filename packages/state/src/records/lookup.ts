import { createHash } from 'node:crypto';
import type { ChainableCommander, Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { defineScript } from '../redis/script.ts';

/** Buckets of the index of Study Instance UIDs: the first 3 digits of the SHA-1 of a UID. */
export const uidBuckets = 4_096;
/** Digits of the SHA-1 of a UID, and characters of a search hash, in an entry. */
const markLength = 4;
const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const orthancId = /^(\S+) ([\da-f]{8})-([\da-f]{8})-([\da-f]{8})-([\da-f]{8})-([\da-f]{8})$/;

/**
 * Lua: `uid_place(uid, member)` and `hash_place(hash, member)` return key and field of the entry of a study, and
 * `member_of_field(field)` the study of an entry.
 *
 * The entries of both indexes are distributed over small hashes, which Redis stores compactly (34 bytes an entry if the
 * hashes are well filled; in a sorted set 165 to 200). A field is 4 characters of the hash, and the study with the 20 bytes of its Orthanc id.
 * Several values may have the same field: readers compare with the record of the study.
 */
export const lookupPlaces = `
local function short_member(member)
  local source, a, b, c, d, e = string.match(member, '^(%S+) ([0-9a-f]+)%-([0-9a-f]+)%-([0-9a-f]+)%-([0-9a-f]+)%-([0-9a-f]+)$')
  if not e or #a ~= 8 or #b ~= 8 or #c ~= 8 or #d ~= 8 or #e ~= 8 then return member end
  local bytes = string.gsub(a .. b .. c .. d .. e, '%x%x', function(digits) return string.char(tonumber(digits, 16)) end)
  return source .. '\\0' .. bytes
end
local function member_of_field(field)
  local text = string.sub(field, ${markLength + 1})
  local at = string.find(text, '\\0', 1, true)
  if not at or string.find(string.sub(text, 1, at), ' ', 1, true) then return text end
  local hex = string.gsub(string.sub(text, at + 1), '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  return string.sub(text, 1, at - 1) .. ' ' .. string.sub(string.gsub(hex, '%x%x%x%x%x%x%x%x', '%0-'), 1, -2)
end
local function uid_mark(uid)
  local hash = redis.sha1hex(uid)
  return string.sub(hash, 1, 3), string.sub(hash, 4, 7)
end
local function uid_place(uid, member)
  local bucket, mark = uid_mark(uid)
  return prefix .. ':index:study-uids:' .. bucket, mark .. short_member(member)
end
local function hash_place(hash, member)
  local at = string.find('${base64url}', string.sub(hash, 3, 3), 1, true) or 1
  local bucket = string.sub(hash, 1, 2) .. math.floor((at - 1) / 16)
  return prefix .. ':index:study-hashes:' .. bucket, string.sub(string.sub(hash, 3) .. '....', 1, ${markLength}) .. short_member(member)
end
`;

/** Key and field of an entry. */
export interface LookupPlace {
  readonly key: string;
  readonly field: Buffer;
}

/** The entry of a study in the index of Study Instance UIDs. */
export function uidPlace(prefix: string, studyInstanceUid: string, member: string): LookupPlace {
  const { key, mark } = uidBucket(prefix, studyInstanceUid);
  return { key, field: Buffer.concat([mark, shortMember(member)]) };
}

/** The entry of a study in the index of search hashes. */
export function hashPlace(prefix: string, hash: string, member: string): LookupPlace {
  const { key, mark } = hashBucket(prefix, hash);
  return { key, field: Buffer.concat([mark, shortMember(member)]) };
}

/** Members of the index of studies that may have a Study Instance UID, in their order. */
export async function membersOfUid(redis: Redis, prefix: string, studyInstanceUid: string): Promise<string[]> {
  return membersIn(redis, uidBucket(prefix, studyInstanceUid));
}

/** Members of the index of studies that may have a search hash, in their order: all of them, or any `limit`. */
export async function membersOfHash(redis: Redis, prefix: string, hash: string, limit?: number): Promise<string[]> {
  return membersIn(redis, hashBucket(prefix, hash), limit);
}

/** Entries in one call: between calls Redis executes other commands. */
const comparedAtOnce = 500;

/** KEYS: index of studies. ARGV: prefix, first bucket, number of entries that suffices. */
const unlistedScript = defineScript(`
local prefix, bucket, compared = ARGV[1], tonumber(ARGV[2]), 0
${lookupPlaces}
local unlisted = {}
while bucket < ${uidBuckets} and compared < tonumber(ARGV[3]) do
  local key = prefix .. ':index:study-uids:' .. string.format('%03x', bucket)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local member = member_of_field(field)
    if not redis.call('ZSCORE', KEYS[1], member) then table.insert(unlisted, { member, key, field }) end
    compared = compared + 1
  end
  bucket = bucket + 1
end
return { bucket, compared, unlisted }
`);

/**
 * Entries of the index of Study Instance UIDs that are missing in the index of studies.
 *
 * @param from - first bucket
 * @param limit - after about this number of entries the walk stops
 * @returns the entries, and the bucket at which the walk continues, {@link uidBuckets} at the end
 */
export async function unlistedStudies(
  redis: Redis,
  prefix: string,
  from: number,
  limit: number,
): Promise<{ readonly unlisted: readonly (LookupPlace & { readonly member: string })[]; readonly next: number }> {
  const found: (LookupPlace & { readonly member: string })[] = [];
  let [next, left] = [from, limit];
  while (next < uidBuckets && left > 0) {
    const args = [prefix, next, Math.min(left, comparedAtOnce)];
    const answer = await unlistedScript.runBuffer(redis, [redisKeys(prefix).index('studies')], args);
    const [after, compared, unlisted] = answer as [number, number, [member: Buffer, key: Buffer, field: Buffer][]];
    for (const [member, key, field] of unlisted) found.push({ member: member.toString(), key: key.toString(), field });
    next = after;
    left -= compared;
  }
  return { unlisted: found, next };
}

/** Adds an entry in a pipeline. */
export function addPlace(pipeline: ChainableCommander, { key, field }: LookupPlace): void {
  pipeline.call('HSET', key, field, '');
}

interface Bucket {
  readonly key: string;
  readonly mark: Buffer;
}

function uidBucket(prefix: string, studyInstanceUid: string): Bucket {
  const hash = createHash('sha1').update(studyInstanceUid).digest('hex');
  return {
    key: redisKeys(prefix).index(`study-uids:${hash.slice(0, 3)}`),
    mark: Buffer.from(hash.slice(3, 3 + markLength)),
  };
}

function hashBucket(prefix: string, hash: string): Bucket {
  const quarter = Math.max(0, Math.floor(base64url.indexOf(hash.slice(2, 3) || 'A') / 16));
  return {
    key: redisKeys(prefix).index(`study-hashes:${hash.slice(0, 2)}${quarter}`),
    mark: Buffer.from(hash.slice(2, 2 + markLength).padEnd(markLength, '.')),
  };
}

/** Entries in one call, about. */
const scannedAtOnce = 1_000;

/** In parts: a bucket of a large index, or of a value that many studies have, has any number of entries. */
async function membersIn(redis: Redis, { key, mark }: Bucket, limit = Number.POSITIVE_INFINITY): Promise<string[]> {
  const pattern = `${mark.toString().replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}*`;
  const members = new Set<string>();
  let cursor = '0';
  do {
    const [next, flat] = await redis.hscanBuffer(key, cursor, 'MATCH', pattern, 'COUNT', scannedAtOnce);
    for (const [at, field] of flat.entries()) {
      if (at % 2 === 0 && members.size < limit) members.add(memberOfField(field.subarray(mark.length)));
    }
    cursor = next.toString();
  } while (cursor !== '0' && members.size < limit);
  return [...members].toSorted();
}

function shortMember(member: string): Buffer {
  const [, source = '', ...parts] = orthancId.exec(member) ?? [];
  if (parts.length === 0) return Buffer.from(member);
  return Buffer.concat([Buffer.from(`${source}\0`), Buffer.from(parts.join(''), 'hex')]);
}

function memberOfField(text: Buffer): string {
  const at = text.indexOf(0);
  if (at < 0 || text.subarray(0, at).includes(' ')) return text.toString();
  const id = text.toString('hex', at + 1).replaceAll(/(.{8})(?=.)/g, '$1-');
  return `${text.toString('utf8', 0, at)} ${id}`;
}
