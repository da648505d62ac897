import { empty, time, withQuery } from './components.ts';
import { html, type Html } from './html.ts';

/** Whether a list has more entries, and the time back to which a slow search got. */
interface Listed {
  readonly next?: string | undefined;
  readonly searchedTo?: number | undefined;
}

/**
 * Links to older entries, and back to the newest.
 *
 * @param csv - URL of the complete list as a file
 */
export function pager(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  { next, searchedTo }: Listed,
  text: Html,
  csv?: string,
): Html {
  return html`<div class="pager" id="pager" data-part>
    <span class="muted">${text}</span>
    <span class="buttons">
      ${csv !== undefined && html`<a class="button" href="${csv}" download>CSV</a>`}
      ${query['cursor'] !== undefined && html`<a class="button" href="${withQuery(path, { ...query, cursor: undefined })}">Newest</a>`}
      ${
        next !== undefined &&
        html`<a class="button" rel="next" href="${withQuery(path, { ...query, cursor: next })}"
          >${searchedTo === undefined ? 'Older' : 'Search on'}</a
        >`
      }
    </span>
  </div>`;
}

/** The time back to which the search got, if it was ended early; otherwise another text. */
export function searchedText({ searchedTo }: Listed, otherwise: Html = html``): Html {
  return searchedTo === undefined ? otherwise : html`Searched back to ${time(searchedTo, 'at')} so far.`;
}

/** Shown if a filter matches nothing, or nothing yet. */
export function nothingFound({ searchedTo }: Listed, title: string, text: string): Html {
  return searchedTo === undefined
    ? empty(title, text)
    : empty('Nothing found so far', 'The history is long. “Search on” continues the search.');
}

/** Less common filters: collapsed unless one of them is set. */
export function moreFilters(isSet: boolean, fields: Html): Html {
  return html`<details class="more" ${isSet && html` open`}>
    <summary>More filters</summary>
    <div class="fields">${fields}</div>
  </details>`;
}
