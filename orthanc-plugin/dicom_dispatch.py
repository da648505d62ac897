"""Runs inside Orthanc: tells dicom-dispatch of stable studies at once, shows and routes studies from Orthanc's pages.

Orthanc's configuration (docs/orthanc-plugin.md explains each step):

    "PythonScript": "/path/to/dicom_dispatch.py",
    "DicomDispatch": {
      "Url": "http://127.0.0.1:8083",       where the router takes pushes (push.listen)
      "Source": "main",                     the name of this Orthanc in the configuration of dicom-dispatch
      "SecretFile": "/run/secrets/push",    or "Secret", or the environment variable DICOM_DISPATCH_SECRET
      "CaFile": "/etc/ssl/dispatch.pem"     only for https with an authority of your own
    }

A push saves time and nothing else. Whatever is lost here (a full queue, a restart, a router that is away for longer than
the retries last) is found by the router, which follows the change feed and sweeps. Nothing here holds up Orthanc: calls
of the pages wait for the router in threads of their own, few at a time and for a short time.

Routes: GET /dispatch/studies/{id} (state), POST /dispatch/studies/{id}/route (route again), GET /dispatch/studies/{id}/page.
"""

import http.client
import json
import os
import queue
import ssl
import threading
import time
import urllib.parse

import orthanc

LONGEST_QUEUE = 10000
TRIES = 6
FIRST_PAUSE_SECONDS = 0.2
PUSH_ANSWER_SECONDS = 10
# Of calls that a person waits for: Orthanc has some 50 threads for all of its REST interface.
CALL_ANSWER_SECONDS = 3
CALLS_AT_A_TIME = 4
LONGEST_ANSWER = 1024 * 1024
# The first instances that arrive are announced at once, later ones together: 0.6, 1.2, 2.4, then 3 s after the last announcement,
# or 0.16 s after the last instance, or when there are 24 of them and the last announcement was 0.6 s ago.
ARRIVALS_FIRST_PACE_SECONDS = 0.6
ARRIVALS_PACE_SECONDS = 3.0
ARRIVALS_QUIET_SECONDS = 0.16
# After this time without instances the next one is a first one.
ARRIVALS_PAUSE_SECONDS = 1.5
ARRIVALS_ENOUGH = 24
ARRIVALS_AT_ONCE = 300
# The router reports that no rule uses them; it is asked again after this time.
NOT_WANTED_SECONDS = 30
ARRIVALS_AGAIN_SECONDS = 1

settings = json.loads(orthanc.GetConfiguration()).get("DicomDispatch", {})
url = str(settings.get("Url", "http://127.0.0.1:8083")).rstrip("/")
source = str(settings.get("Source", "main"))


class Unavailable(Exception):
    """Reason why the router cannot be asked, for the user."""


logged = set()


def log_once(text):
    if text not in logged:
        logged.add(text)
        orthanc.LogError("dicom-dispatch: " + text)


def read_secret():
    """The secret that is shared with the router. It may come later than Orthanc starts: it is read when it is needed."""
    if "SecretFile" in settings:
        try:
            with open(settings["SecretFile"], encoding="utf-8") as file:
                secret = file.read(4096).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise Unavailable("DicomDispatch.SecretFile %s cannot be read (%s)" % (settings["SecretFile"], reason))
    else:
        secret = str(settings.get("Secret") or os.environ.get("DICOM_DISPATCH_SECRET", ""))
    if not secret:
        raise Unavailable("no secret is configured: set DicomDispatch.SecretFile to a file with the pushSecret of this source")
    if not secret.isascii() or not secret.isprintable():
        raise Unavailable("the secret has characters that are not allowed in an HTTP header")
    return secret


def connect(seconds):
    parts = urllib.parse.urlsplit(url)
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=settings.get("CaFile"))
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=seconds, context=context), parts.path
        if parts.scheme == "http" and parts.hostname:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds), parts.path
    except (OSError, ValueError) as error:
        raise Unavailable("DicomDispatch.Url or CaFile cannot be used (%s)" % describe(error))
    raise Unavailable("DicomDispatch.Url is %s: it must begin with http:// or https://" % url)


def describe(error):
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted: " + error.verify_message
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def ask(method, path, seconds, content=None, kept=None):
    """
    One request to the router. Returns status and body; raises Unavailable when there is no answer in time.

    kept: a list with the connection of the last request of this thread, if that is open; it gets the one of this request.
    """
    secret = read_secret()
    ends = time.monotonic() + seconds
    headers = {"Authorization": "Bearer " + secret, "Content-Type": "application/json"}
    body = json.dumps(content or {}).encode() if method == "POST" else None
    try:
        if kept:
            try:
                return exchange(kept.pop(), (method, path, body, headers), ends, kept)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # The router has closed it since.
        return exchange(connect(seconds), (method, path, body, headers), ends, kept)
    except TimeoutError:
        raise Unavailable("dicom-dispatch at %s has not answered within %d seconds" % (url, seconds))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable("dicom-dispatch cannot be reached at %s (%s)" % (url, describe(error)))


def exchange(opened, request, ends, kept):
    connection, prefix = opened
    method, path, content, headers = request
    stays_open = False
    try:
        connection.request(method, prefix + path, body=content, headers=headers)
        answer = connection.getresponse()
        body = b""
        while len(body) < LONGEST_ANSWER:
            if time.monotonic() > ends:
                raise TimeoutError()
            part = answer.read1(65536)
            if not part:
                stays_open = kept is not None and not answer.will_close
                answer.close()
                return answer.status, body
            body += part
        raise Unavailable("dicom-dispatch at %s answers without end" % url)
    finally:
        if stays_open:
            kept.append(opened)
        else:
            connection.close()


def study_path(study, action=""):
    return "/sources/%s/studies/%s%s" % (urllib.parse.quote(source, safe=""), study, action)


# Pushes.

stable = queue.Queue(LONGEST_QUEUE)


def announce(study):
    pause = FIRST_PAUSE_SECONDS
    reason = ""
    for attempt in range(TRIES):
        try:
            status, body = ask("POST", study_path(study, "/stable"), PUSH_ANSWER_SECONDS)
            if status < 500:
                if status >= 400 and status != 404:
                    log_once("a push was rejected (%d): %s" % (status, reason_of(status, body)))
                return
            reason = reason_of(status, body)
        except Unavailable as error:
            reason = str(error)
        if attempt + 1 < TRIES:
            time.sleep(pause)
            pause *= 2
    orthanc.LogWarning("dicom-dispatch was not notified of study %s (%s); it finds the study in the change feed" % (study, reason))


def announce_all():
    while True:
        study = stable.get()
        if study is None:
            return
        try:
            announce(study)
        except Exception as error:  # the thread has to live on
            orthanc.LogError("dicom-dispatch: %s" % type(error).__name__)


# Instances and stable series of studies that are still being received. What cannot be told is found in the change feed.

arrivals = queue.Queue(LONGEST_QUEUE)
arrivals_wanted_from = 0.0


def gather(first, until, enough_from):
    came = [first]
    while len(came) < ARRIVALS_AT_ONCE and came[-1] is not None:
        if len(came) >= ARRIVALS_ENOUGH and time.monotonic() >= enough_from:
            break
        left = until - time.monotonic()
        try:
            # The last instances of a study do not wait longer: there are at most about six announcements a second.
            came.append(arrivals.get(timeout=max(0.0, min(left, ARRIVALS_QUIET_SECONDS))))
        except queue.Empty:
            break
    return came


def announce_arrivals():
    global arrivals_wanted_from
    announced_at = 0.0
    pace = 0.0
    kept = []
    while True:
        first = arrivals.get()
        if time.monotonic() > announced_at + ARRIVALS_PAUSE_SECONDS:
            pace = 0.0
        came = gather(first, announced_at + pace, announced_at + ARRIVALS_FIRST_PACE_SECONDS)
        if None in came:
            return
        announced_at = time.monotonic()
        pace = min(max(ARRIVALS_FIRST_PACE_SECONDS, 2 * pace), ARRIVALS_PACE_SECONDS)
        try:
            content = {kind: [resource for one, resource in came if one == kind] for kind in ("instances", "series")}
            path = "/sources/%s/arrivals" % urllib.parse.quote(source, safe="")
            status, body = ask("POST", path, PUSH_ANSWER_SECONDS, content, kept)
            if status != 200:
                arrivals_wanted_from = time.monotonic() + ARRIVALS_AGAIN_SECONDS
            elif json.loads(body.decode("utf-8")).get("wanted") is not True:
                arrivals_wanted_from = time.monotonic() + NOT_WANTED_SECONDS
        except Exception:  # the push of the stable study says what is wrong
            arrivals_wanted_from = time.monotonic() + ARRIVALS_AGAIN_SECONDS


def arrived(kind, resource):
    if time.monotonic() < arrivals_wanted_from:
        return
    try:
        arrivals.put_nowait((kind, resource))
    except queue.Full:
        pass


# Several at once, so that a study that has to be tried again holds up no other.
announcers = [threading.Thread(target=announce_all, daemon=True) for _ in range(4)]


def on_change(change, level, resource):
    if change == orthanc.ChangeType.ORTHANC_STARTED:
        for announcer in announcers:
            announcer.start()
        threading.Thread(target=announce_arrivals, daemon=True).start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        for _ in announcers:
            put(None)
        arrivals.put(None)
    elif change == orthanc.ChangeType.NEW_INSTANCE:
        arrived("instances", resource)
    elif change == orthanc.ChangeType.STABLE_SERIES:
        arrived("series", resource)
    elif change == orthanc.ChangeType.STABLE_STUDY:
        try:
            read_secret()
        except Unavailable as error:
            log_once("%s; studies are not pushed, the router finds them in the change feed" % error)
            return
        put(resource)


def put(study):
    try:
        stable.put_nowait(study)
    except queue.Full:
        # The change feed has it all the same.
        pass


# Calls of people.

slots = threading.BoundedSemaphore(CALLS_AT_A_TIME)


class Call(threading.Thread):
    """Asks the router beside Orthanc's thread, which waits for a short time whatever the network does."""

    def __init__(self, method, path):
        super().__init__(daemon=True)
        self.method = method
        self.path = path
        self.status = 503
        self.body = None
        self.reason = "dicom-dispatch at %s has not answered within %d seconds" % (url, CALL_ANSWER_SECONDS)
        self.done = threading.Event()

    def run(self):
        try:
            self.status, self.body = ask(self.method, self.path, CALL_ANSWER_SECONDS)
        except Unavailable as error:
            self.reason = str(error)
        except Exception as error:
            self.reason = "the plugin failed (%s)" % type(error).__name__
        finally:
            # It is the thread that keeps its slot, not the caller who has gone.
            slots.release()
            self.done.set()


def pass_on(output, method, path):
    if not slots.acquire(blocking=False):
        send_error(output, 503, "%d calls already wait for dicom-dispatch at %s: try again" % (CALLS_AT_A_TIME, url))
        return
    call = Call(method, path)
    try:
        call.start()
    except RuntimeError:
        slots.release()
        send_error(output, 503, "no free thread for a call to dicom-dispatch: try again")
        return
    call.done.wait(CALL_ANSWER_SECONDS + 0.5)
    status, body = call.status, call.body
    if body is None:
        send_error(output, 503, call.reason)
    elif status == 200:
        output.AnswerBuffer(body, "application/json")
    else:
        send_error(output, status if 400 <= status <= 599 else 502, reason_of(status, body))


def reason_of(status, body):
    """What the router says is wrong; it answers {"error": text}."""
    try:
        reason = json.loads(body.decode("utf-8"))["error"]
        if isinstance(reason, str) and reason:
            return reason[:1000]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        pass
    return "%s answered HTTP %d, but not as dicom-dispatch: check that Url is the address of the router" % (url, status)


def send_error(output, status, reason):
    text = json.dumps({"error": reason})
    output.SetHttpHeader("Content-Type", "application/json")
    try:
        # orthanc-python 4.0: status, text, its length.
        output.SendHttpStatus(status, text, len(text))
    except TypeError:
        # Other versions: status and bytes.
        output.SendHttpStatus(status, text.encode())


def on_state(output, uri, **request):
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
    else:
        pass_on(output, "GET", study_path(request["groups"][0]))


def on_route(output, uri, **request):
    if request["method"] != "POST":
        output.SendMethodNotAllowed("POST")
    elif request.get("headers", {}).get("sec-fetch-site", "none") not in ("same-origin", "none"):
        send_error(output, 403, "the request was sent by a page of another site")
    else:
        pass_on(output, "POST", study_path(request["groups"][0], "/route"))


def on_page(output, uri, **request):
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
        return
    output.SetHttpHeader("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'self'")
    output.AnswerBuffer(PAGE, "text/html")


def on_script(output, uri, **request):
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
    else:
        output.AnswerBuffer(SCRIPT, "application/javascript")


# Pages. What both Orthanc Explorers and the page of a study share: what a state says, and why something failed.
SHARED = """
function dispatchReason(status, text) {
  try { var told = JSON.parse(text); if (told.error) return told.error; } catch (error) { }
  return status === 0 ? 'Orthanc cannot be reached' : status === 401 || status === 403 ? 'Orthanc does not allow it (HTTP ' + status + ')'
    : 'Orthanc answered HTTP ' + status;
}
function dispatchLines(state) {
  if (state.deliveries.length === 0) return [state.routed ? 'No rule sends this study anywhere.' : 'Not routed yet.'];
  return state.deliveries.map(function(delivery) {
    var line = delivery.target + ': ' + delivery.state + ', ' + delivery.confirmed + ' of ' + delivery.total + ' instances';
    return delivery.error ? line + ' (' + delivery.error.message + ': ' + delivery.error.remedy + ')' : line;
  });
}
"""

EXPLORER = SHARED + """
$('#study').live('pagebeforecreate', function() {
  var list = $('<div>').attr('id', 'dispatch-state');
  var button = $('<a>').attr('id', 'dispatch-route').attr('data-role', 'button').attr('href', '#')
    .attr('data-icon', 'forward').attr('data-theme', 'e').text('Route again (dicom-dispatch)');
  button.insertBefore($('#study-delete').parent().parent());
  list.insertBefore(button);
  button.click(function(event) {
    event.preventDefault();
    $.ajax({ url: '../dispatch/studies/' + $.mobile.pageData.uuid + '/route', type: 'POST', data: '{}',
      success: function(answer) { dispatchShow(answer.deliveries.length + ' deliveries are on their way.'); },
      error: function(answer) { dispatchShow('Not routed: ' + dispatchReason(answer.status, answer.responseText)); } });
  });
});
function dispatchShow(said) {
  var list = $('#dispatch-state').empty();
  $('<h4>').text('Deliveries').appendTo(list);
  if (typeof said === 'string') $('<p>').attr('id', 'dispatch-said').text(said).appendTo(list);
  $.ajax({ url: '../dispatch/studies/' + $.mobile.pageData.uuid, dataType: 'json',
    success: function(state) { $.each(dispatchLines(state), function(_, line) { $('<p>').text(line).appendTo(list); }); },
    error: function(answer) { $('<p>').text('Unknown: ' + dispatchReason(answer.status, answer.responseText)).appendTo(list); } });
}
$('#study').live('pageshow', dispatchShow);
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Deliveries of a study - dicom-dispatch</title>
<style>body { font: 16px/1.5 sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem } button { font: inherit; padding: .4rem 1rem }</style>
<script src="../../page.js" defer></script></head>
<body><h1>Deliveries</h1><ul id="dispatch-state"></ul>
<p><button id="dispatch-route">Route again</button> <button id="dispatch-look">Refresh</button></p><p id="dispatch-said" role="status"></p></body></html>
"""

SCRIPT = SHARED + """
var study = location.pathname.split('/').slice(-2)[0];
function dispatchAsk(method, path, good) {
  fetch(path, { method: method, body: method === 'POST' ? '{}' : undefined }).then(function(answer) {
    return answer.text().then(function(text) {
      if (answer.ok) good(JSON.parse(text)); else dispatchSay(dispatchReason(answer.status, text));
    });
  }).catch(function() { dispatchSay(dispatchReason(0, '')); });
}
function dispatchSay(text) { document.getElementById('dispatch-said').textContent = text; }
function dispatchLook() {
  dispatchAsk('GET', '../' + study, function(state) {
    var list = document.getElementById('dispatch-state');
    list.textContent = '';
    dispatchLines(state).forEach(function(line) { var item = document.createElement('li'); item.textContent = line; list.appendChild(item); });
  });
}
document.getElementById('dispatch-look').onclick = function() { dispatchSay(''); dispatchLook(); };
document.getElementById('dispatch-route').onclick = function() {
  dispatchAsk('POST', '../' + study + '/route', function(answer) { dispatchSay(answer.deliveries.length + ' deliveries are on their way.'); dispatchLook(); });
};
dispatchLook();
"""

orthanc.RegisterOnChangeCallback(on_change)
orthanc.RegisterRestCallback("/dispatch/studies/([0-9a-f-]+)", on_state)
orthanc.RegisterRestCallback("/dispatch/studies/([0-9a-f-]+)/route", on_route)
orthanc.RegisterRestCallback("/dispatch/studies/([0-9a-f-]+)/page", on_page)
orthanc.RegisterRestCallback("/dispatch/page.js", on_script)
if hasattr(orthanc, "ExtendOrthancExplorer"):
    orthanc.ExtendOrthancExplorer(EXPLORER)
try:
    read_secret()
except Unavailable as error:
    log_once("%s; Orthanc runs without pushes until this is corrected" % error)
