"""What to do about each error, by the name of its class: the part of docs/reference/errors.md that no code says."""

from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    # ---- what a server answers with
    "InvalidInput": "Change what the message names; its rule is there, too.",
    "InvalidInstanceId": (
        "Use 1 to 100 letters, digits, `-` and `_`, not beginning with `-`; or leave it out, and get a new one."
    ),
    "UnknownScript": (
        "Serve the file that has the class, or deploy it, and name script and class as `stepwell workflows list` does."
    ),
    "WorkflowBelongs": "Use another name, or delete the workflow first.",
    "WorkflowNotFound": "`stepwell workflows list` has the names; a token sees those of its own account.",
    "QueueFull": "Try again when some have run; let more run at a time, or raise the setting `queued_instances`.",
    "CreatedTooFast": "Wait as long as `Retry-After` says, create in batches, or raise `creations_per_second`.",
    "VersionNotFound": "`stepwell workflows versions WORKFLOW` lists them.",
    "ScheduleNotFound": "`stepwell schedules list` has them; they come with the code, or with the wrangler file.",
    "LimitNotFound": "`stepwell limits list` has them; `stepwell limits share` makes one.",
    "JobNotFound": "`stepwell jobs list` has those of the last 30 days.",
    "WebhookNotFound": "`stepwell webhooks list` has them.",
    "DeliveryNotFound": "`stepwell webhooks deliveries ID` has them, for as long as `delivery_retention` says.",
    "SnapshotNotFound": "`stepwell deployments list` has what was served.",
    "CodeRefused": (
        "Mend the line that the report names; `stepwell check` and `stepwell dev` tell the same on your machine."
    ),
    "InstanceNotFound": (
        "Look for it with `stepwell instances list`; it may have been deleted when its retention was over."
    ),
    "StepNotFound": "Name it as the log does, with its count, such as `charge-1`, and say its type.",
    "InstanceAlreadyExists": (
        "It may be your own request that came twice: look at the instance. Else use another id, or none."
    ),
    "InstanceFinished": "Nothing is left to be done; `stepwell instances restart` begins it again.",
    "StepNotInHistory": "Name it without the count that logs show, and say the count apart; or restart the whole.",
    "NoFailedRollback": "Only a rollback that has failed can go on; `stepwell instances describe` says how it went.",
    "IdempotencyKeyReused": "Make a new key for each request that is another one.",
    "NotAuthenticated": "`stepwell token create` makes a token; `stepwell login` remembers it.",
    "Unauthorized": "Send `Authorization: Bearer TOKEN`; `stepwell token create` makes one.",
    "TooManyWrongTokens": "Wait as long as `Retry-After` says, and look for the program that has an old token.",
    "Forbidden": "Use a token with the permission, for this account; or allow the host's name by `--allow-host`.",
    "RouteNotFound": (
        "Compare the path with [http.md](http.md); ids are escaped, and `accounts/` comes before the account."
    ),
    "MethodNotAllowed": "Use a method that the header `Allow` names.",
    "ScriptNotFound": "`wrangler deploy` or `stepwell deploy` uploads it.",
    "ServiceNotFound": "`wrangler deploy` or `stepwell deploy` uploads it.",
    "ScriptVersionNotFound": "`wrangler versions list` has them.",
    "NoDrawing": "The message says why the code has no graph; `stepwell graph` tells the line.",
    "TooManyRequests": (
        "Wait as long as `Retry-After` says, ask for less, or raise the settings that the message names."
    ),
    "TooManyStreams": "Close one, come back later, or raise the setting that the message names.",
    "UpgradeRequired": (
        "Ask with `Upgrade: websocket`, or follow the same events by the other route that the message names."
    ),
    "BodyTooLarge": "Store large values elsewhere and send a reference, or raise `payload_size`.",
    "BodyTooSlow": "Send the body whole; a proxy on the way may hold it back.",
    "BodyCompressed": "Send the body as it is, without `Content-Encoding`.",
    # ---- stores
    "StoreError": "The message and the log say more; `stepwell doctor` looks at the store.",
    "StoreUnavailable": "Free disk space, or look at the database and the network; the server goes on by itself then.",
    "StoreDamaged": "Stop, keep the file, and take the last backup: [stores.md](../stores.md).",
    "StoreInUse": "Stop the process that the message names, or use another data folder. One server has a file.",
    "StoreTooNew": "Use the Stepwell that wrote it, or a later one.",
    "PageTooSlow": "Ask for less, as the message says: a workflow, a status, a shorter time; or raise `page_timeout`.",
    "StreamDropped": "Read the stream of the step as it is now.",
    "RehearsalStopped": "Nothing: a rehearsal changes nothing, and has come to where it would have to.",
    "OutOfOrder": "This is a defect of Stepwell: please report it with the log.",
    # ---- inside the engine
    "TurnLost": "Nothing: another worker has the instance, and what this one did is not recorded.",
    "TurnClosed": "Let it pass: do not catch `BaseException`, and call no step in a `finally` block.",
    "RestartedMeanwhile": "Look at the instance again, and decide anew.",
    "VersionChanged": "Look at the workflow again, and decide anew.",
    "UnreadableValue": (
        "Give the class back the form that the stored value has, or move the instance to code that has it."
    ),
    "UnfitValue": "Change the value or the annotation at the path that the message names.",
    # ---- commands, and the engine inside an application
    "ScriptError": "Mend the line that the report names; `stepwell check` finds more.",
    "CannotListen": "Choose another port with `--port`, or stop what listens there.",
    "InvalidSetting": "Change it where the message says that it was set: flag, environment or file.",
    "NotStarted": "Use `async with Stepwell(...)`, or `await stepwell.start()` first.",
    "AlreadyStarted": "Start it once; the application's own start is the place.",
    "RequestRefused": "As for the code that it has: the table above.",
    "NotOfThisServer": "Use another way than Stepwell's own routes, or a newer server.",
    "ServerUnreachable": "Start the server, or name the right one: `--url`, `STEPWELL_URL` or `stepwell login`.",
    # ---- what step calls raise
    "AuthorError": "As for its kinds, which all can be caught by it.",
    "NonRetryableError": "You raise it: the step fails at once. Catch it in `run` to go another way.",
    "RetryAfter": "You raise it: the step is tried again after that time, as long as it has attempts.",
    "WorkflowTimeoutError": "Give the step or the wait a longer `timeout`, or catch it and go another way.",
    "WorkflowInternalError": "The step is tried again; if it comes again and again, look into the server's log.",
    "WorkflowFatalError": "Mend the code, as the message says; to try again would not help.",
    "InvalidStepName": "Use a text of 1 to 256 characters without control characters.",
    "InvalidStepConfig": "Give the field a value as the message has it.",
    "InvalidEventType": "Use 1 to 100 letters, digits, `-` and `_`: no dot.",
    "StepLimitReached": "Start another instance for the rest, or raise `limits.steps` of the workflow.",
    "InstanceTooLarge": (
        "Store large values elsewhere and return references, go on in another instance, or raise `instance_size`."
    ),
    "NotSerialisable": "Return what can be stored: [authoring.md](../authoring.md) lists it.",
    "ChildFailed": "Catch it in the parent, and look at the child for its own error.",
    "InstanceFailed": "Look at that instance for its own error; `status` says how it ended.",
    "StepProcessDied": "Give the step more memory or time in `isolated`, or let it do less at a time.",
    "RollbackMissing": "Bring back the rollback in the code, then `stepwell instances resume-rollback`.",
    "NonRetryableDelayError": "Let the delay function return a number of milliseconds or a duration, soon.",
    "SleepInThePast": "Give a moment to come: numbers are milliseconds, and a datetime without a zone is in UTC.",
    "StepFailed": "Look at its `name`; name the class in `exceptions` of the workflow to catch it by itself.",
    # ---- the test kit
    "KitError": "As for its kinds, which all can be caught by it.",
    "NothingCanHappen": "Send the event, or mock it, that the message says is waited for.",
    "StatusUnreachable": "Wait for the status that it can still have, or look at why it ended otherwise.",
    "NoStepResult": "Compare the step's name with those that the message lists.",
    "WaitsForReal": "Mock the step that waits for a real service, or give the engine more `patience`.",
    "CannotStandIn": "The message says why: mostly, the instance has begun already, or the step has no such name.",
    "KitFinding": "As for its kinds, which all can be caught by it.",
    "Diverged": "Mend the line that the message names, so that each replay asks for the same steps.",
    "OutcomeChanged": "Put what differs into a step: what is not in one runs anew after a crash.",
    "StepsDiffer": "Mend the code or the test; the message has the difference.",
    "SnapshotMissing": "Run the test once with `STEPWELL_SNAPSHOTS=write`, and keep the file.",
    # ---- the client
    "ApiError": "As for its kinds, which all can be caught by it; `error_code` is the number in the first table.",
    "Unreachable": "Start the server, or look at the address; with `is_sent` the request may have been done.",
    "TimedOut": "Give the client a longer `timeout`, or wait for less at a time.",
    "UnreadableAnswer": "Something else than this API answers there: look at the address, and at proxies on the way.",
    "NotEnded": "Wait again: nothing is lost by that.",
    "InvalidRequest": "Change what the message names.",
    "NotAllowed": "Use a token with the permission: `stepwell token create --scope`.",
    "NotFound": "Compare the name or id with what `list` gives; or the server is an older one.",
    "Conflict": "Look at how the instance stands now.",
    "AlreadyExists": "It may be your own request that came twice; else use another id, or none.",
    "RateLimited": "Wait for `retry_after_s`.",
    "ServerError": "Try again later; the server's log has the request id.",
}
