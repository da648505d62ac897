/** NIST SP 800-63B-4, section 3.1.1.2: a password that is used alone has at least 15 characters. */
export const minPasswordLength = 15;
export const maxPasswordLength = 1024;

/** Common passwords, and words of this system; a password that consists only of them is rejected. */
const guessedWords = [
  'password',
  'passwort',
  'passw0rd',
  'administrator',
  'admin',
  'welcome',
  'letmein',
  'changeme',
  'secret',
  'login',
  'root',
  'test',
  'user',
  'default',
  'iloveyou',
  'monkey',
  'dragon',
  'master',
  'hospital',
  'radiology',
  'radiologie',
  'orthanc',
  'dicom',
  'dispatch',
  'console',
  'viewer',
  'operator',
  'pacs',
];
const rows = ['abcdefghijklmnopqrstuvwxyz', '01234567890', 'qwertyuiopasdfghjklzxcvbnm', 'qwertzuiopasdfghjklyxcvbnm'];

/**
 * Why a password is rejected; undefined for a valid one. Rules of NIST SP 800-63B-4: length counts, and common
 * passwords are rejected; there are no rules on the kinds of characters, and no expiry.
 */
export function passwordProblem(password: string, name = ''): string | undefined {
  const length = [...password.normalize('NFKC')].length;
  if (length < minPasswordLength) return `has ${length} characters: use at least ${minPasswordLength}, e.g. four words`;
  if (password.length > maxPasswordLength) return `is longer than ${maxPasswordLength} characters`;
  const plain = password.normalize('NFKC').toLowerCase();
  if (isRepeated(plain)) return 'repeats a few characters: use another';
  if (isOnRows(plain)) return 'is a row of the keyboard or of the alphabet: use another';
  if (hasOnlyGuessedWords(plain, name.toLowerCase())) return 'consists of common words: use others';
  return undefined;
}

function isRepeated(text: string): boolean {
  for (let period = 1; period <= 4; period += 1) {
    if (
      text ===
      text
        .slice(0, period)
        .repeat(Math.ceil(text.length / period))
        .slice(0, text.length)
    )
      return true;
  }
  return new Set(text).size < 5;
}

/** Whether the text consists of a few pieces of keyboard rows, forwards or backwards. */
function isOnRows(text: string): boolean {
  const all = rows.flatMap((row) => [row, [...row].reverse().join('')]);
  let rest = text;
  let pieces = 0;
  while (rest !== '') {
    const longest = Math.max(...all.map((row) => commonLength(row, rest)));
    if (longest < 3) return false;
    rest = rest.slice(longest);
    pieces += 1;
  }
  return pieces <= Math.ceil(text.length / 4);
}

function commonLength(row: string, text: string): number {
  for (let length = Math.min(row.length, text.length); length > 0; length -= 1) {
    if (row.includes(text.slice(0, length))) return length;
  }
  return 0;
}

function hasOnlyGuessedWords(text: string, name: string): boolean {
  let rest = text;
  for (const word of [...guessedWords, ...(name.length >= 3 ? [name] : [])].sort((a, b) => b.length - a.length)) {
    rest = rest.replaceAll(word, '');
  }
  const letters = rest.replaceAll(/[\d\p{P}\p{S}\s]/gu, '');
  return letters.length < 3 && rest.length < 8;
}

/** Whether a text is a hash of a password, as `config password` prints it. */
export function isPasswordHash(text: string): boolean {
  return /^scrypt:\d{1,8}:\d{1,3}:\d{1,3}:[A-Za-z0-9_-]{16,128}:[A-Za-z0-9_-]{43}$/.test(text);
}
