"""The site's HTTP addresses."""

from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from chat import (
    accounts,
    appearance,
    bot_views,
    file_views,
    invitations,
    my_account,
    own_password,
    pane_set_views,
    picture_views,
    push_views,
    room_views,
    views,
)

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("manifest.webmanifest", push_views.manifest, name="manifest"),
    path("service_worker.js", push_views.service_worker, name="service_worker"),
    path("push/", push_views.subscription, name="push"),
    path("push/end/", push_views.end_subscription, name="end_push"),
    path("search/", views.find, name="search"),
    path("chat/", RedirectView.as_view(pattern_name="index")),
    # A title may have any characters, including slashes. The WebSocket /chat/stream/ is routed in multichat/asgi.py.
    path("chat/<path:title>/", views.room, name="room"),
    path("rooms/", room_views.rooms, name="rooms"),
    path("rooms/<int:room_id>/", room_views.room, name="room_settings"),
    path("rooms/<int:room_id>/members/", room_views.members, name="members"),
    path("rooms/<int:room_id>/alerts/<int:seq>/unconfirmed/", room_views.unconfirmed, name="unconfirmed"),
    path("rooms/<int:room_id>/bots/", room_views.bots, name="bots"),
    path("rooms/<int:room_id>/webhooks/", room_views.webhooks, name="webhooks"),
    path("rooms/<int:room_id>/messages", bot_views.messages, name="bot_messages"),
    path("hooks/<str:secret>", bot_views.hook, name="hook"),
    path("rooms/<int:room_id>/files/", file_views.upload, name="upload"),
    path("files/<uuid:file_id>/", file_views.file, name="file"),
    path("files/<uuid:file_id>/copy/", file_views.copy, name="copy_file"),
    path("files/<uuid:file_id>/thumbnail/", file_views.thumbnail, name="thumbnail"),
    path("direct/", room_views.direct, name="direct"),
    path("people/deactivate/", room_views.deactivate, name="deactivate"),
    path("people/around/", room_views.people_around, name="around"),
    path("people/", room_views.names, name="people"),
    path("accounts/", my_account.account, name="account"),
    path("accounts/picture/", picture_views.upload, name="picture_upload"),
    path("accounts/picture/remove/", picture_views.remove, name="picture_remove"),
    path("pictures/<uuid:key>/", picture_views.picture, name="picture"),
    path("accounts/appearance/", appearance.save, name="appearance"),
    path("accounts/workspaces/", pane_set_views.pane_sets_view, name="workspaces"),
    path("accounts/sessions/<int:pk>/end/", my_account.end_session, name="end_session"),
    path("accounts/sign_out_everywhere/", my_account.sign_out_everywhere, name="sign_out_everywhere"),
    path("accounts/sign_up/", invitations.sign_up, name="sign_up"),
    path("invite/", invitations.invite, name="invite"),
    path("invite/<int:pk>/revoke/", invitations.revoke, name="revoke_invitation"),
    path("invite/<str:code>/", invitations.accept, name="accept_invitation"),
    path("accounts/login/", accounts.SignIn.as_view(), name="login"),
    path("accounts/logout/", accounts.SignOut.as_view(), name="logout"),
    path("accounts/session/", accounts.session, name="session"),
    path("accounts/password_change/", own_password.PasswordChange.as_view(), name="password_change"),
    path("accounts/password_change/done/", own_password.PasswordChangeDone.as_view(), name="password_change_done"),
    path("accounts/password_reset/", own_password.PasswordReset.as_view(), name="password_reset"),
    path("accounts/password_reset/done/", own_password.PasswordResetDone.as_view(), name="password_reset_done"),
    path("accounts/reset/done/", own_password.PasswordResetComplete.as_view(), name="password_reset_complete"),
    path(
        "accounts/reset/<uidb64>/<token>/", own_password.PasswordResetConfirm.as_view(), name="password_reset_confirm"
    ),
    path("admin/", admin.site.urls),
]
if settings.SECOND_FACTOR:
    from chat import own_second_factor, second_factor

    urlpatterns += [
        path("accounts/second_factor/", second_factor.step, name="second_factor"),
        path("accounts/passkey/", second_factor.passkey, name="passkey"),
        path("accounts/second_factors/", own_second_factor.overview, name="second_factors"),
        path("accounts/second_factors/app/", own_second_factor.app_on, name="app_on"),
        path("accounts/second_factors/app/off/", own_second_factor.app_off, name="app_off"),
        path("accounts/second_factors/codes/", own_second_factor.codes, name="recovery_codes"),
        path("accounts/second_factors/passkey/", own_second_factor.passkey_add, name="passkey_add"),
        path("accounts/second_factors/passkey/<int:pk>/", own_second_factor.passkey_remove, name="passkey_remove"),
    ]
if settings.OIDC.issuer:
    from chat import single_sign_on

    urlpatterns += [
        path("accounts/sso/", single_sign_on.start, name="sso"),
        path("accounts/sso/callback/", single_sign_on.callback, name="sso_callback"),
        path("accounts/sso/name/", single_sign_on.choose_name, name="sso_name"),
        path("accounts/sso/link/", single_sign_on.link, name="sso_link"),
        path("accounts/sso/unlink/", single_sign_on.unlink, name="sso_unlink"),
    ]
