import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ago, dicomDate, withCode, withQuery } from './components.ts';
import { html } from './html.ts';
import { personName } from '../source/source-lookup.ts';
import { plot } from './plot.ts';

describe('html', () => {
  it('escapes every value, in text and in attributes', () => {
    const name = `<script>alert("x")</script>' & co`;
    expect(html`<a title="${name}">${name}</a>`.text).toBe(
      '<a title="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39; &amp; co">&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39; &amp; co</a>',
    );
  });

  it('inserts fragments, lists too, and omits missing ones', () => {
    const rows = ['a', '<b>'].map((one) => html`<li>${one}</li>`);
    const list = html`<ul>
      ${rows}
    </ul>`;
    expect(list.text.replaceAll(/\s/g, '')).toBe('<ul><li>a</li><li>&lt;b&gt;</li></ul>');
    expect(html`${undefined}${null}${false}${true}${0}`.text).toBe('0');
  });

  it('never lets a text end its element or attribute', () => {
    assert(
      property(string({ unit: 'binary' }), (text) => {
        const inside = html`<p title="${text}">${text}</p>`.text.slice('<p title="'.length, -'</p>'.length);
        expect(inside.split('">')).toHaveLength(2);
        expect(inside).not.toContain('<');
      }),
    );
  });
});

describe('texts of pages', () => {
  it('marks code between backticks, and nothing else', () => {
    expect(withCode('`a < b` is true').text).toBe('<code>a &lt; b</code> is true');
  });

  it('preserves parameters of a URL', () => {
    expect(withQuery('/studies', { search: 'A & B', state: undefined, cursor: '' })).toBe('/studies?search=A+%26+B');
  });

  it('formats times for users', () => {
    const now = 1_000_000_000;
    expect([ago(now - 61_500, now), ago(now + 5_000, now), ago(now - 10, now)]).toEqual([
      '1m 1s ago',
      'in 5.0s',
      'now',
    ]);
    expect([dicomDate('20240131'), dicomDate('')]).toEqual(['2024-01-31', '']);
  });

  it.each([
    ['Müller^Jörg^^Dr.', 'Müller, Jörg'],
    ['Sato^Hanako=佐藤^花子=さとう^はなこ', 'Sato, Hanako · 佐藤 花子 · さとう はなこ'],
    ['Yamada^Tarou==やまだ^たろう', 'Yamada, Tarou · やまだ たろう'],
    ['=佐藤^花子', '佐藤 花子'],
    ['^^', ''],
    ['Single', 'Single'],
  ])('writes the person name %s as %s', (value, expected) => {
    expect(personName(value)).toBe(expected);
  });

  it('draws a plot with axes, values and failures, and reports if there is nothing to draw', () => {
    const points = [
      { at: 0, bytes: 2_000_000, delivered: 3, failed: 0 },
      { at: 60_000, bytes: 0, delivered: 0, failed: 1 },
    ];
    const options = { id: 'hour', title: 'Last hour', stepMinutes: 1, axis: 'clock', every: 1 } as const;
    const { text } = plot(points, options);
    expect(text).toContain('aria-label="Last hour: 2.00 MB sent, 3 deliveries arrived, 1 did not"');
    expect(text.match(/<rect class="bytes"/g)).toHaveLength(1);
    expect(text.match(/<rect class="bad"/g)).toHaveLength(1);
    // The highest value of the axis, the text of each point, and the same as a table.
    expect(text).toContain('>50.0 kB/s</text');
    expect(text).toContain('1970-01-01 00:00 UTC: 33.3 kB/s, 3 arrived, 0 did not</title>');
    expect(text.match(/<td class="nowrap">/g)).toHaveLength(2);
    const nothing = plot([{ at: 0, bytes: 0, delivered: 0, failed: 0 }], options);
    expect(nothing.text).toContain('No data was sent');
  });
});
