"""Runs inside Orthanc: tells dicom-dispatch of stable studies at once, shows and routes studies from Orthanc Explorer.

Orthanc's configuration:

    "PythonScript": "/path/to/dicom_dispatch.py",
    "DicomDispatch": {
      "Url": "http://127.0.0.1:8083",       where the router takes pushes (push.listen)
      "Source": "main",                     the name of this Orthanc in the configuration of dicom-dispatch
      "SecretFile": "/run/secrets/push"     or "Secret", or the environment variable DICOM_DISPATCH_SECRET
    }

A push saves time and nothing else. Whatever is lost here (a full queue, a restart, a router that is away for longer than
the retries last) is found by the router, which follows the change feed and sweeps. Nothing here ever holds up Orthanc.

Routes: GET /dispatch/studies/{id} (state), POST /dispatch/studies/{id}/route (route again).
"""

import json
import os
import queue
import threading
import time
import urllib.error
import urllib.request

import orthanc

LONGEST_QUEUE = 10000
TRIES = 6
FIRST_PAUSE_SECONDS = 0.2
ANSWER_WITHIN_SECONDS = 10

settings = json.loads(orthanc.GetConfiguration()).get("DicomDispatch", {})
url = settings.get("Url", "http://127.0.0.1:8083").rstrip("/")
source = settings.get("Source", "main")


def read_secret():
    if "SecretFile" in settings:
        with open(settings["SecretFile"], encoding="utf-8") as file:
            return file.read().strip()
    return settings.get("Secret") or os.environ.get("DICOM_DISPATCH_SECRET", "")


secret = read_secret()
stable = queue.Queue(LONGEST_QUEUE)


def ask(method, path):
    """One request to the router. Returns status and body; raises OSError when it is not there."""
    request = urllib.request.Request(
        url + path,
        method=method,
        data=b"{}" if method == "POST" else None,
        headers={"Authorization": "Bearer " + secret, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def study_path(study, action=""):
    return "/sources/%s/studies/%s%s" % (source, study, action)


def announce(study):
    pause = FIRST_PAUSE_SECONDS
    for attempt in range(TRIES):
        try:
            status, body = ask("POST", study_path(study, "/stable"))
            if status < 500:
                if status >= 400 and status != 404:
                    orthanc.LogError("dicom-dispatch refuses a push (%d): %s" % (status, body[:200].decode("utf-8", "replace")))
                return
        except OSError:
            pass
        if attempt + 1 < TRIES:
            time.sleep(pause)
            pause *= 2
    orthanc.LogWarning("dicom-dispatch was not told of study %s; it will find it in the change feed" % study)


def announce_all():
    while True:
        study = stable.get()
        if study is None:
            return
        try:
            announce(study)
        except Exception as error:  # the thread has to live on
            orthanc.LogError("dicom-dispatch: %s" % type(error).__name__)


# Several at once, so that a study that has to be tried again holds up no other.
announcers = [threading.Thread(target=announce_all, daemon=True) for _ in range(4)]


def on_change(change, level, resource):
    if change == orthanc.ChangeType.ORTHANC_STARTED:
        for announcer in announcers:
            announcer.start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        for _ in announcers:
            put(None)
    elif change == orthanc.ChangeType.STABLE_STUDY:
        put(resource)


def put(study):
    try:
        stable.put_nowait(study)
    except queue.Full:
        # The change feed has it all the same.
        pass


def pass_on(output, method, path):
    try:
        status, body = ask(method, path)
    except OSError:
        status, body = 503, json.dumps({"error": "dicom-dispatch cannot be reached at " + url}).encode()
    if status == 200:
        output.AnswerBuffer(body, "application/json")
    else:
        output.SendHttpStatus(status, body.decode("utf-8", "replace"))


def on_state(output, uri, **request):
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
    else:
        pass_on(output, "GET", study_path(request["groups"][0]))


def on_route(output, uri, **request):
    if request["method"] != "POST":
        output.SendMethodNotAllowed("POST")
    else:
        pass_on(output, "POST", study_path(request["groups"][0], "/route"))


EXPLORER = """
$('#study').live('pagebeforecreate', function() {
  var list = $('<div>').attr('id', 'dispatch-state');
  var button = $('<a>').attr('id', 'dispatch-route').attr('data-role', 'button').attr('href', '#')
    .attr('data-icon', 'forward').attr('data-theme', 'e').text('Route again (dicom-dispatch)');
  button.insertBefore($('#study-delete').parent().parent());
  list.insertBefore(button);
  button.click(function(event) {
    event.preventDefault();
    $.ajax({ url: '../dispatch/studies/' + $.mobile.pageData.uuid + '/route', type: 'POST', data: '{}',
      success: function(answer) { alert(answer.deliveries.length + ' deliveries are on their way'); dispatchShow(); },
      error: function(answer) { alert('It could not be routed: ' + answer.responseText); } });
  });
});
function dispatchShow() {
  var list = $('#dispatch-state').empty();
  $.getJSON('../dispatch/studies/' + $.mobile.pageData.uuid, function(state) {
    $('<h4>').text('Deliveries').appendTo(list);
    if (state.deliveries.length === 0) $('<p>').text(state.routed ? 'No rule sends this study anywhere.' : 'Not routed yet.').appendTo(list);
    $.each(state.deliveries, function(_, delivery) {
      var line = delivery.target + ': ' + delivery.state + ', ' + delivery.confirmed + ' of ' + delivery.total + ' instances';
      if (delivery.error) line += ' (' + delivery.error.message + ')';
      $('<p>').text(line).appendTo(list);
    });
  }).fail(function() { $('<p>').text('dicom-dispatch cannot be reached.').appendTo(list); });
}
$('#study').live('pageshow', dispatchShow);
"""

orthanc.RegisterOnChangeCallback(on_change)
orthanc.RegisterRestCallback("/dispatch/studies/([0-9a-f-]+)", on_state)
orthanc.RegisterRestCallback("/dispatch/studies/([0-9a-f-]+)/route", on_route)
if hasattr(orthanc, "ExtendOrthancExplorer"):
    orthanc.ExtendOrthancExplorer(EXPLORER)
if not secret:
    orthanc.LogWarning("dicom-dispatch: no secret is configured, the router will refuse every push")
